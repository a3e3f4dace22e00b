"""Event logs: reading, validation, cleaning."""

import gzip

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.data import events as module
from helpers.data.events import (EventLogError, clean_events, event_schema, parse_timestamps, read_events,
                                 validate_events)

CSV = ("user_id,platform,device,timestamp,event_type,item_id,price\n"
       "1,web,desktop,2026-03-01T10:00:00Z,view,31,9.5\n"
       "1,web,desktop,2026-03-01T10:01:00Z,search,,\n"
       "2,mobile,phone,2026-03-01T10:02:00Z,view,32,5\n")


def make_log(**columns):
    times = pd.date_range("2026-03-01 10:00", periods=3, freq="min", tz="UTC").as_unit("ms")
    return pd.DataFrame({"user_id": [1, 1, 2], "platform": "web", "timestamp": times, "event_type": "view",
                         "item_id": [31, 32, 31], "price": [1.0, np.nan, 3.0]} | columns)


def moments(*texts):
    return pd.to_datetime(list(texts), utc=True).as_unit("ms")


def counts(report):
    return {reason: rows for reason, rows in zip(report["reason"], report["rows"]) if rows}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV)
    return path


def write(log, path):
    writers = {".parquet": log.to_parquet, ".jsonl": lambda p: log.to_json(p, orient="records", lines=True),
               ".gz": lambda p: log.to_csv(p, index=False)}
    writers[path.suffix](path)
    return path


# reading


@pytest.mark.parametrize("name", ["log.parquet", "log.jsonl", "log.csv.gz"])
def test_every_format_gives_the_same_log(tmp_path, csv, name):
    path = write(pd.read_csv(csv), tmp_path / name)
    pd.testing.assert_frame_equal(read_events(path), read_events(csv))


def test_reading_sets_the_types_of_the_schema(csv):
    log = read_events(csv)
    assert {name: str(dtype) for name, dtype in log.dtypes.items()} == {
        "user_id": "int64", "platform": "category", "device": "category", "timestamp": "datetime64[ms, UTC]",
        "event_type": "category", "item_id": "Int64", "price": "float64"}
    assert validate_events(log, platforms=["web", "mobile"]) is log


def test_columns_are_renamed_and_constants_added(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("who,when,event_type,item_id\n007,2026-03-01T10:00:00Z,view,31\n")
    log = read_events(path, {"who": "user_id", "when": "timestamp"}, constants={"platform": "web"},
                      dtypes={"who": "str"})
    assert log.loc[0, "user_id"] == "007" and log.loc[0, "platform"] == "web"


def test_a_log_without_optional_columns_is_read(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user_id,item_id\na,31\n")
    assert read_events(path, required=["user_id", "item_id"]).loc[0].tolist() == ["a", 31]


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no event log at .*gone.csv"):
        read_events(tmp_path / "gone.csv")


@pytest.mark.parametrize("name", ["log.xlsx", "log.parquet.gz", "log.gz"])
def test_an_unknown_format_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(EventLogError, match="expected a name that ends in .csv"):
        read_events(tmp_path / name)


def test_a_truncated_gzip_is_an_error(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode() * 50)[:-20])
    with pytest.raises(EventLogError, match="cannot be read as csv .*damaged or incomplete"):
        read_events(path)


def test_a_gzip_that_is_none_is_an_error(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_text(CSV)
    with pytest.raises(EventLogError, match="damaged"):
        read_events(path)


def test_a_damaged_gzip_is_an_error(tmp_path):
    path = tmp_path / "log.jsonl.gz"
    damaged = bytearray(gzip.compress(CSV.encode() * 50))
    damaged[12:40] = b"\xff" * 28
    path.write_bytes(damaged)
    with pytest.raises(EventLogError, match="damaged"):
        read_events(path)


def test_a_truncated_parquet_is_an_error(tmp_path, csv):
    path = write(pd.read_csv(csv), tmp_path / "log.parquet")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(EventLogError, match="cannot be read as parquet"):
        read_events(path)


@pytest.mark.parametrize("text", ["", "user_id,platform,timestamp,event_type,item_id\n"])
def test_a_file_without_events_is_an_error(tmp_path, text):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(EventLogError, match="holds no event"):
        read_events(path)


def test_a_missing_column_is_named_with_those_found(csv):
    with pytest.raises(EventLogError, match="lacks columns user_id, item_id: found who, platform.*rename"):
        read_events(csv, {"user_id": "who", "item_id": "what"})


def test_a_price_that_is_no_number_names_its_row(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV.replace("9.5", "cheap"))
    with pytest.raises(EventLogError, match="column 'price', row 0: found 'cheap', expected a number"):
        read_events(path)


def test_large_identifiers_are_never_rounded(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV.replace("31", str(2**60 + 1)))
    with pytest.raises(EventLogError, match="'item_id'.*rounded because some are missing"):
        read_events(path)
    assert read_events(path, dtypes={"item_id": "Int64"}).loc[0, "item_id"] == 2**60 + 1


def test_identifiers_with_a_fraction_stay_as_they_are(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV.replace("31", "31.5"))
    assert read_events(path).loc[0, "item_id"] == 31.5


# timestamps


def test_an_offset_is_converted_to_utc():
    times = parse_timestamps(pd.Series(["2026-03-01T10:00:00+02:00", "2026-03-01 11:00:00+0200", None]))
    assert times.dt.hour.tolist()[:2] == [8, 9] and times.isna().tolist() == [False, False, True]


def test_timestamps_without_a_zone_are_in_the_stated_one():
    assert parse_timestamps(pd.Series(["2026-07-01 12:00"]), timezone="Europe/Paris").dt.hour.tolist() == [10]
    naive = pd.Series(pd.to_datetime(["2026-07-01 12:00"]))
    assert parse_timestamps(naive, timezone="Europe/Paris").dt.hour.tolist() == [10]


def test_a_local_time_that_exists_twice_is_an_error():
    with pytest.raises(EventLogError, match="row 0: found '2026-10-25 02:30'"):
        parse_timestamps(pd.Series(["2026-10-25 02:30"]), timezone="Europe/Paris")


def test_unparsable_timestamps_name_their_rows():
    values = pd.Series(["2026-03-01T10:00:00Z"] + ["yesterday"] * 7, name="time")
    with pytest.raises(EventLogError, match="'time', rows 1, 2, 3, 4, 5 and 2 more: found 'yesterday'"):
        parse_timestamps(values)


def test_unparsable_timestamps_can_be_left_to_cleaning(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(CSV.replace("2026-03-01T10:01:00Z", "yesterday"))
    clean, report = clean_events(read_events(path, unparsable="missing"))
    assert counts(report) == {"missing time": 1} and len(clean) == 2


def test_mixed_offsets_are_an_error_unless_converted():
    values = pd.Series(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00+01:00"], name="time")
    with pytest.raises(EventLogError, match="mixes time zones: .0000 at first, then .0100 in row 1"):
        parse_timestamps(values)
    assert parse_timestamps(values, offsets="convert").dt.hour.tolist() == [10, 9]


def test_the_same_offset_may_be_written_in_several_ways():
    values = pd.Series(["2026-03-01T10:00:00Z", "2026-03-01 10:00:00+00:00", "2026-03-01 10:00:00.5+00"])
    assert parse_timestamps(values).dt.hour.tolist() == [10, 10, 10]


def test_timestamps_with_and_without_a_zone_do_not_mix():
    with pytest.raises(EventLogError, match="in row 1, without one"):
        parse_timestamps(pd.Series(["2026-03-01T10:00:00Z", "2026-03-01T10:00:00"]), offsets="convert")


def test_numbers_need_a_unit():
    with pytest.raises(EventLogError, match="unit='s'"):
        parse_timestamps(pd.Series([1_772_359_200], name="time"))
    assert parse_timestamps(pd.Series([1_772_359_200]), unit="s").dt.hour.tolist() == [10]


# validation


def test_optional_columns_may_be_absent():
    assert len(validate_events(make_log().drop(columns="price"))) == 3


def test_names_of_columns_are_arguments():
    log = make_log().rename(columns={"user_id": "who", "price": "cost"})
    validate_events(log, user_id="who", price="cost")
    with pytest.raises(EventLogError, match="'cost', row 1: found -1.0"):
        validate_events(log.assign(cost=[1, -1.0, 2]), user_id="who", price="cost")
    clean, report = clean_events(log.assign(cost=[1, -1.0, 2]), user_id="who", price="cost")
    assert counts(report) == {"impossible price": 1} and clean["who"].tolist() == [1, 2]


@pytest.mark.parametrize("column, values, message", [
    ("user_id", [1, None, 2], "'user_id', row 1: found nan, expected a value"),
    ("platform", ["web", "fax", "fax"], "'platform', rows 1, 2: found 'fax', expected one of web, mobile"),
    ("event_type", ["view", "view", "sneeze"], "'event_type', row 2: found 'sneeze', expected one of view, "),
    ("timestamp", ["2026-03-01"] * 3, "'timestamp'.*expected datetime64.ms, UTC"),
    ("price", [1.0, -2.0, np.inf], "'price', rows 1, 2: found -2.0, expected a finite price"),
    ("price", ["1", "2", "3"], "'price'.*expected a number"),
])
def test_validation_names_column_row_and_expectation(column, values, message):
    with pytest.raises(EventLogError, match=message):
        validate_events(make_log(**{column: values}), platforms=["web", "mobile"])


def test_validation_lists_every_broken_column():
    log = make_log(platform="fax", event_type="sneeze")
    with pytest.raises(EventLogError, match="(?s)'platform'.*'event_type'"):
        validate_events(log, platforms=["web"])


@pytest.mark.parametrize("check", [validate_events, clean_events])
def test_an_empty_log_or_a_missing_column_is_an_error(check):
    with pytest.raises(EventLogError, match="holds no event"):
        check(make_log().head(0))
    with pytest.raises(EventLogError, match="lacks column item_id"):
        check(make_log().drop(columns="item_id"))


def test_the_schema_leaves_other_columns_alone():
    assert len(event_schema().validate(make_log(campaign="spring"))) == 3


# cleaning


@pytest.mark.parametrize("columns, reason", [
    ({"user_id": [1, None, 2]}, "missing user"),
    ({"user_id": ["a", None, "b"]}, "missing user"),
    ({"platform": ["web", "fax", "web"]}, "unknown platform"),
    ({"platform": pd.Categorical(["web", "fax", "web"])}, "unknown platform"),
    ({"platform": pd.Categorical(["web", None, "web"])}, "unknown platform"),
    ({"event_type": ["view", "sneeze", "view"]}, "unknown event type"),
    ({"item_id": pd.array([31, None, 31], "Int64")}, "missing item"),
    ({"timestamp": moments("2026-03-01", None, "2026-03-01")}, "missing time"),
    ({"timestamp": moments("2026-03-01", "1970-01-01", "2026-03-01")}, "time out of range"),
    ({"timestamp": moments("2026-03-01", "2126-01-01", "2026-03-01")}, "time out of range"),
    ({"price": [1, -1, 2]}, "impossible price"),
    ({"price": [1, np.inf, 2]}, "impossible price"),
    ({"price": [1, 1001, 2]}, "impossible price"),
])
def test_each_kind_of_dirt_is_removed_and_counted(columns, reason):
    clean, report = clean_events(make_log(**columns), platforms=["web"], max_price=1000, latest="2027-01-01")
    assert counts(report) == {reason: 1}
    assert report.loc[report["reason"] == reason, "share"].item() == pytest.approx(1 / 3)
    assert len(clean) == 2 and clean["item_id"].tolist() == [31, 31]


def test_a_search_needs_no_item():
    log = make_log(event_type="search", item_id=pd.array([None] * 3, "Int64"))
    assert len(clean_events(log)[0]) == 3


def test_a_time_later_than_now_is_out_of_range():
    log = make_log(timestamp=moments("2001-01-01", "2262-01-01", "2001-01-01"))
    assert counts(clean_events(log)[1]) == {"time out of range": 1}


def test_duplicates_are_found_even_between_other_events_of_the_same_moment():
    log = make_log(user_id=1, timestamp=make_log()["timestamp"][0])
    clean, report = clean_events(log)
    assert counts(report) == {"duplicate": 1} and clean["item_id"].tolist() == [31, 32]


def test_the_same_item_on_two_platforms_is_no_duplicate():
    log = make_log(user_id=1, item_id=31, platform=["web", "mobile", "kiosk"])
    log["timestamp"] = log["timestamp"][0]
    assert counts(clean_events(log)[1]) == {}


def test_all_events_of_a_bot_go_but_not_those_of_a_busy_week():
    times = pd.date_range("2026-03-01", periods=8, freq="6h", tz="UTC").as_unit("ms")
    log = pd.DataFrame({"user_id": 1, "platform": "web", "timestamp": times, "event_type": "view",
                        "item_id": 31})
    assert counts(clean_events(log, max_daily_events=4)[1]) == {}
    clean, report = clean_events(pd.concat([log, make_log()[2:]]), max_daily_events=3)
    assert counts(report) == {"bot": 8} and clean["user_id"].tolist() == [2]


def test_a_log_may_lose_all_its_rows():
    clean, report = clean_events(make_log(platform="fax"), platforms=["web"])
    assert len(clean) == 0 and list(clean) == list(make_log()) and report["rows"].sum() == 3


def test_unsorted_events_are_sorted_by_user_then_time_and_the_log_is_not_changed():
    log = make_log().iloc[[2, 1, 0]]
    before = log.copy()
    clean, _ = clean_events(log)
    pd.testing.assert_frame_equal(log, before)
    pd.testing.assert_frame_equal(clean, make_log())


@pytest.mark.parametrize("columns, message", [
    ({"timestamp": ["2026-03-01"] * 3}, "'timestamp': found str, expected datetime64"),
    ({"price": ["1", "2", "3"]}, "'price': found str, expected a number"),
])
def test_wrong_types_are_an_error(columns, message):
    with pytest.raises(EventLogError, match=message):
        clean_events(make_log(**columns))


def test_user_ids_far_apart_are_sorted_too():
    clean, _ = clean_events(make_log(user_id=[2**62, -2**62, 0]))
    assert clean["user_id"].tolist() == [-2**62, 0, 2**62]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2),
                          st.sampled_from([-1.0, 1.0])), min_size=1, max_size=40), st.booleans())
def test_cleaning_agrees_with_plain_pandas_and_loses_no_row_uncounted(rows, text):
    user, minute, item, price = zip(*rows)
    times = pd.Series(pd.Timestamp("2026-03-01", tz="UTC") + pd.to_timedelta(minute, "min")).dt.as_unit("ms")
    user = [f"u{number}" for number in user] if text else user
    log = pd.DataFrame({"user_id": user, "platform": "web", "timestamp": times, "event_type": "view",
                        "item_id": item, "price": price})
    expected = log[log["price"] > 0].drop_duplicates(["user_id", "timestamp", "item_id"])
    expected = expected.sort_values(["user_id", "timestamp"], kind="stable").reset_index(drop=True)
    clean, report = clean_events(log)
    pd.testing.assert_frame_equal(clean, expected)
    assert report["rows"].sum() + len(clean) == len(log)


def test_the_module_names_what_it_offers():
    assert module.EVENT_TYPES == ("view", "search", "add_to_cart", "purchase", "login", "payment")
