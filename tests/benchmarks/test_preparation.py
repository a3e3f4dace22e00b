"""The benchmark measures what it says: equal results, a log as described."""

from helpers.data.events import clean_events, validate_events
from tests.benchmarks import preparation


def test_helpers_and_plain_pandas_prepare_the_same():
    log = preparation.make_log(5_000)
    preparation.assert_same(preparation.with_helpers(log), preparation.with_pandas(log))


def test_the_log_is_dirty_in_every_stated_way_and_clean_afterwards():
    clean, report = clean_events(preparation.make_log(5_000), **preparation.LIMITS)
    dirt = report.set_index("reason")["rows"]
    assert (dirt[["missing item", "time out of range", "impossible price", "duplicate", "bot"]] > 0).all()
    assert len(validate_events(clean)) > 3_000
