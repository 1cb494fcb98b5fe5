"""What can be taken along, and where it lies meanwhile."""

import os

import pytest

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import PhasecastError
from phasecast.records.alarm_book import AlarmBook
from phasecast.results import open_result
from phasecast.services.page import page_tools
from phasecast.web.exports import ExportsPanel
from phasecast.web.exports_folder import ExportsFolder
from phasecast.web.hub import Hub
from phasecast.web.session import Session
from support.result_writer import WriterProcess
from support.results import write_result


@pytest.fixture
def directory(tmp_path):
    return DataDirectory(tmp_path).create()


def test_exports_are_made_in_processes_of_their_own_and_failures_are_one_line(directory, tmp_path):
    write_result(directory, "錆.nxs", missing=(7,))
    tools = page_tools(directory)
    tools.write_csv(directory.results / "錆.nxs", tmp_path / "a.csv")
    content = (tmp_path / "a.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbfpoint,")
    assert content.count(b"\n") == 21
    tools.draw_png(directory.results / "錆.nxs", tmp_path / "a.png", "ja")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    (directory.results / "text.nxs").write_text("a shopping list")
    with pytest.raises(PhasecastError, match="not readable as HDF5") as caught:
        tools.write_csv(directory.results / "text.nxs", tmp_path / "b.csv")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "b.csv").exists()


def test_growing_result_is_offered_as_a_closed_copy_and_a_closed_one_as_it_is(directory, tmp_path):
    write_result(directory, "closed.nxs")
    hub = Hub(directory, page_tools(directory), AlarmBook(directory))
    panel = ExportsPanel(hub, Session({}))

    def nexus():
        return next(part for part in panel.table.rows[0]["cells"][0] if part.get("hook") == "pc-export-nexus")

    panel.show(hub.scan("closed.nxs"))
    assert nexus()["href"] == "results/closed.nxs"
    with WriterProcess(directory.results / "growing.nxs") as writer:
        writer.ask("pages 7")
        panel.show(hub.scan("growing.nxs"))
        assert "href" not in nexus()
        hub.tools.snapshot(directory.results / "growing.nxs", tmp_path / "copy.nxs")
        with open_result(tmp_path / "copy.nxs") as copy:
            assert copy.is_closed
            assert copy.points_done == 21
        writer.ask("pages 2")


def test_exported_files_are_removed_at_the_end_and_left_ones_a_day_later(directory):
    left = directory.reports / ".exports-left"
    left.mkdir()
    os.utime(left, (0, 0))
    folder = ExportsFolder(directory.reports)
    file = folder.file_of(directory.results / "a b<.nxs", "csv", "en")
    file.write_text("x")
    assert not left.exists()
    address = folder.address_of(file)
    assert address.startswith("reports/.exports-")
    assert address.endswith("/en/a%20b%3C.csv")
    folder.close()
    assert list(directory.reports.iterdir()) == []
