"""The benchmark of decoding times real messages: their frames come out as they went in, on both versions."""

from phasecast.sources import simplon_benchmark


def test_it_times_every_wire(monkeypatch) -> None:
    monkeypatch.setattr(simplon_benchmark, "_ROUNDS", 2)
    report = simplon_benchmark.bench_decode()
    assert {"V1 bs32-lz4<", "V2 bslz4", "V2 bslz4, 1 of 2 thresholds", "decompress alone"} <= set(report["wires"])
    assert all(said["best_ms"] > 0 for said in report["wires"].values())
    assert len(simplon_benchmark.format_report(report).splitlines()) == 1 + len(report["wires"])
