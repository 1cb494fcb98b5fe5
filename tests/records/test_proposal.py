"""One data directory, one proposal: whose it is, and what is refused."""

import pytest

from phasecast.core.errors import RecordsError, RequestError
from phasecast.core.requests import DescribeSample
from phasecast.records.clerk import Clerk
from phasecast.records.mailbox import Mailbox
from phasecast.records.proposal import PROPOSAL_FILE, is_same_proposal, read_proposal, require_proposal
from phasecast.records.samples import SampleBook, samples_path

WRITTEN = 'id = "2026A1234"\ntitle = "錆の断面"\n[users]\n"森 美咲" = "神戸製鋼"\nAoki = ""\n'


def keep_for(directory, text=WRITTEN, encoding="utf-8"):
    (directory.root / PROPOSAL_FILE).write_bytes(text.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_the_proposal_is_read_in_whatever_encoding_windows_wrote_it(directory, encoding):
    assert read_proposal(directory) is None
    keep_for(directory, WRITTEN.replace("\n", "\r\n"), encoding)
    proposal = read_proposal(directory)
    assert proposal is not None
    assert (proposal.id, proposal.title) == ("2026A1234", "錆の断面")
    assert dict(proposal.users) == {"森 美咲": "神戸製鋼", "Aoki": ""}


@pytest.mark.parametrize(
    "text", ["id = 5", "id = ''", "x = 'y'", "id = '2026A1'\nuser = 'x'", "id = '2026", "title = 'x'"]
)
def test_a_proposal_that_cannot_be_read_is_one_clear_line_and_never_guessed(directory, text):
    keep_for(directory, text)
    with pytest.raises(RecordsError) as failure:
        require_proposal(directory, "2026A1234")
    assert PROPOSAL_FILE in str(failure.value)
    assert "\n" not in str(failure.value)


def test_width_case_and_separators_of_the_number_do_not_count():
    assert is_same_proposal("2026A1234", "２０２６ａ１２３４")
    assert is_same_proposal("2026A-1234", "2026a1234 ")
    assert not is_same_proposal("2026A1234", "2026A1235")


def test_what_states_another_proposal_is_refused_and_both_are_named(directory):
    require_proposal(directory, "anything")
    keep_for(directory)
    require_proposal(directory, "")
    require_proposal(directory, "2026a1234")
    with pytest.raises(RequestError, match=r"scan 7: proposal 2026B0001, but .* kept for proposal 2026A1234"):
        require_proposal(directory, "2026B0001", where="scan 7")


def test_a_form_of_another_proposal_is_answered_with_the_reason_and_not_written_down(directory):
    keep_for(directory)
    mailbox = Mailbox(directory.requests)
    fields = {"name": "theirs", "proposal": "2026B0001"}
    refused = mailbox.submit(DescribeSample(scan_raw_uid="", fields=fields, who="森"))
    taken = mailbox.submit(DescribeSample(scan_raw_uid="", fields={"name": "ours", "proposal": "2026A1234"}, who="森"))
    clerk = Clerk(directory)
    clerk.step()
    clerk.close()
    answer = mailbox.answer(refused)
    assert answer is not None
    assert not answer.ok
    assert "2026A1234" in answer.detail
    assert "2026B0001" in answer.detail
    assert mailbox.answer(taken).ok
    book = SampleBook(samples_path(directory))
    book.refresh()
    assert book.standing.fields["name"] == "ours"
    assert "theirs" not in samples_path(directory).read_text(encoding="utf-8")
