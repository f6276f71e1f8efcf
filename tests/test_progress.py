"""Progress is reported only to a listener."""

import threading

from traintwice import progress
from traintwice._database import Session
from traintwice.progress import polling, reporting_to


def test_work_without_reports_is_polled(monkeypatch):
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.001)
    answers, heard, enough = iter([-1.0, 40.0]), [], threading.Event()

    def hear(done, total, unit):
        heard.append((done, total, unit))
        enough.set()

    with reporting_to(hear), polling(lambda: next(answers, -1.0)):
        assert enough.wait(10)
    assert heard == [(40.0, 100.0, "%")]
    before = threading.active_count()
    with polling(lambda: 40.0):
        assert threading.active_count() == before


def test_a_long_query_reports_progress_and_writes_nothing(monkeypatch, capfd):
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.01)
    heard, session = [], Session()
    with reporting_to(lambda done, total, unit: heard.append((done, total, unit))):
        for _ in range(100):
            if heard:
                break
            session.rows("SELECT count(DISTINCT hash(range)) FROM range(3000000)", doing="counting")
    session.close()
    assert heard
    assert all(0 <= done <= 100 and (total, unit) == (100.0, "%") for done, total, unit in heard)
    assert capfd.readouterr() == ("", "")
