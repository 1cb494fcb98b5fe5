"""Which processor does the arithmetic, and why."""

import logging
import warnings
from dataclasses import dataclass
from typing import Literal

import torch

logger = logging.getLogger(__name__)

DeviceChoice = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDevice:
    """A device that was seen to work.

    Parameters
    ----------
    device
        For torch.
    note
        Why this one, for people and result files.
    """

    device: torch.device
    note: str


def use_one_thread() -> None:
    """Let this process compute on one thread.

    One frame is too little work to share: with a second thread each product waits for both. On two busy cores a live
    scan at 100 frames/s fell 17 s behind with two threads, 0.1 s with one.
    """
    torch.set_num_threads(1)


def choose_device(choice: DeviceChoice = "auto") -> ChosenDevice:
    """Return CUDA where it is wanted and multiplies a sparse matrix right, else the CPU with the reason."""
    if choice == "cpu":
        chosen = ChosenDevice(device=torch.device("cpu"), note="CPU, as asked")
    else:
        fault = _cuda_fault()
        if fault is None:
            name = torch.cuda.get_device_name()
            chosen = ChosenDevice(device=torch.device("cuda"), note=f"CUDA on {name}")
        else:
            chosen = ChosenDevice(device=torch.device("cpu"), note=f"CPU, because {fault}")
    level = logging.WARNING if choice == "cuda" and chosen.device.type == "cpu" else logging.INFO
    logger.log(level, "integrating on %s", chosen.note)
    return chosen


def sparse_csr(
    indptr: torch.Tensor, indices: torch.Tensor, values: torch.Tensor, size: tuple[int, int]
) -> torch.Tensor:
    """Return a sparse CSR tensor without torch's notice that the layout is in beta."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(indptr, indices, values, size=size, check_invariants=False)


def _cuda_fault() -> str | None:
    try:
        # A driver that does not fit makes torch warn instead of raise.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not torch.cuda.is_available():
                return "no CUDA device is available"
        matrix = sparse_csr(
            torch.tensor([0, 1, 2], dtype=torch.int32),
            torch.tensor([1, 0], dtype=torch.int32),
            torch.tensor([2.0, 3.0]),
            (2, 2),
        ).to("cuda")
        product = (matrix @ torch.eye(2, device="cuda")).cpu()
    except RuntimeError as error:
        return f"CUDA failed: {str(error).splitlines()[0]}"
    if not torch.equal(product, torch.tensor([[0.0, 2.0], [3.0, 0.0]])):
        return "CUDA multiplied a sparse matrix wrongly"
    return None
