"""The page in a real browser, opened as a file: it draws, sorts, shows the structure, and asks for nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import reproduction_sample

from halion.report.reproduction import write_reproduction

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no Chromium and driver here: apt-get install chromium chromium-driver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver")
wait = pytest.importorskip("selenium.webdriver.support.wait")

STATES = ("complete", "without_value", "failures_only", "hostile")
COMMON = (
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
WEBGL = {
    True: ("--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
    False: ("--disable-gpu", "--disable-3d-apis"),
}


def browser(folder: Path, *, webgl: bool):
    """A fresh browser that writes down its console and its network."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*COMMON, *WEBGL[webgl], f"--user-data-dir={folder}", "--window-size=1280,900"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


@pytest.fixture(scope="module")
def driver(tmp_path_factory) -> Iterator:
    opened = browser(tmp_path_factory.mktemp("profile"), webgl=True)
    yield opened
    opened.quit()


@pytest.fixture
def complete(driver, pages):
    """The browser with the complete report open; not loaded again if it is."""
    if driver.current_url != pages["complete"].as_uri():
        visit(driver, pages["complete"])
    return driver


def visit(opened, page: Path) -> None:
    """Open a page and wait until its script says that it has drawn everything."""
    opened.get_log("browser"), opened.get_log("performance")
    opened.get(page.as_uri())
    drawn = "return document.documentElement.dataset.drawn === 'yes'"
    wait.WebDriverWait(opened, 60).until(lambda _: opened.execute_script(drawn))


def requests(opened) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    addresses = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    # The browser's own start page, and what the page holds itself.
    return [address for address in addresses if not address.startswith(("chrome:", "data:", "blob:"))]


def complaints(opened) -> list[str]:
    """Errors and warnings of the console; a software renderer's note on its own speed is none."""
    entries = [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    return [entry["message"] for entry in entries if "GPU stall" not in entry["message"]]


@pytest.mark.parametrize("state", [state for state in STATES if state != "complete"] + ["complete"])
def test_page_draws_without_a_complaint_and_without_the_network(driver, pages, state):
    visit(driver, pages[state])
    assert complaints(driver) == []
    assert requests(driver) == [pages[state].as_uri()]
    assert driver.execute_script("return window.broken") is None
    places = driver.find_elements("css selector", ".drawing")
    assert len(places) >= 3
    without = [place for place in places if not place.find_elements("css selector", ".trace path")]
    assert without == [], "a figure without a curve"
    assert len(driver.find_elements("css selector", "#viewer canvas")) == 1
    assert driver.find_element("id", "viewer-message").text == ""


def test_the_reproduction_draws_and_fits_without_the_network(driver, tmp_path):
    _, page = write_reproduction(reproduction_sample.everything(), tmp_path)
    visit(driver, page)
    assert complaints(driver) == []
    assert requests(driver) == [page.as_uri()]
    places = driver.find_elements("css selector", ".drawing")
    assert len(places) == len(list((tmp_path / "figures").iterdir()))
    assert [place for place in places if not place.find_elements("css selector", ".trace path")] == []
    hidden = driver.find_elements("css selector", "details table")
    assert hidden and not any(table.is_displayed() for table in hidden), "reasons open on a click"
    driver.execute_script("document.querySelector('#table-1 summary').click()")
    assert driver.find_element("css selector", "#table-1 details table").is_displayed()
    assert driver.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_nothing_sticks_out_of_the_screen(driver, pages):
    visit(driver, pages["hostile"])  # it has the longest words
    try:
        for width in (390, 820, 1280):
            screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
            driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
            # Figures follow the width of the page in the browser's next frames.
            fits = f"return document.documentElement.scrollWidth <= {width}"
            wait.WebDriverWait(driver, 10).until(lambda _, fits=fits: driver.execute_script(fits))
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_structure_is_more_than_an_empty_canvas(complete):
    def picture() -> str:
        return complete.execute_script("return document.querySelector('#viewer canvas').toDataURL()")

    def press(view: str) -> str:
        button = complete.find_element("css selector", f"[data-view='{view}']")
        complete.execute_script("arguments[0].click()", button)
        return button.get_attribute("aria-pressed")

    before = picture()
    assert len(before) > 30_000, "an empty canvas of this size compresses to a few thousand characters"
    assert press("polyhedra") == "false"
    assert picture() != before
    seen = set()
    for axis in "012":
        press(axis)
        seen.add(picture())
    assert len(seen) == 3, "three axes, three views"
    assert press("polyhedra") == "true"
    assert complaints(complete) == []


def test_the_density_is_drawn_and_turns(complete):
    def picture() -> str:
        return complete.execute_script("return document.querySelector('#density-viewer canvas').toDataURL()")

    assert complete.find_element("id", "density-message").text == ""
    seen = set()
    for axis in "012":
        button = complete.find_element("css selector", f"[data-density-view='{axis}']")
        complete.execute_script("arguments[0].click()", button)
        seen.add(picture())
    assert len(seen) == 3, "three axes, three views"
    assert min(map(len, seen)) > 20_000, "an empty canvas of this size compresses to a few thousand characters"
    assert complaints(complete) == []


def test_a_click_on_a_header_sorts_up_then_down(complete):
    def column(k: int) -> list[float]:
        cells = complete.find_elements("css selector", f"#table-ranking tbody td:nth-child({k})")
        return [float(cell.get_attribute("data-value")) for cell in cells]

    header = complete.find_elements("css selector", "#table-ranking th button")[5]
    start = column(6)
    complete.execute_script("arguments[0].click()", header)
    assert column(6) == sorted(start) != start
    assert sorted(column(1)) == [1, 2, 3, 4, 5], "rows move whole"
    complete.execute_script("arguments[0].click()", header)
    assert column(6) == sorted(start, reverse=True)


def test_missing_values_sort_last_either_way(complete):
    header = complete.find_elements("css selector", "#table-study th button")[4]
    for _ in range(2):
        complete.execute_script("arguments[0].click()", header)
        cells = complete.find_elements("css selector", "#table-study tbody td:nth-child(5)")
        assert cells[-1].get_attribute("data-value") == ""


def test_downloads_hold_the_picture_and_the_numbers(complete, pages):
    folder = pages["complete"].parent
    fetch = "return decodeURIComponent(escape(atob(document.querySelector(arguments[0]).href.split(',')[1])))"
    svg = complete.execute_script(fetch, "#figure-msd a.svg")
    assert svg == (folder / "figures" / "msd.svg").read_text(encoding="utf-8")
    numbers = complete.execute_script(fetch, "#figure-msd a.file:not(.svg)")
    assert numbers == (folder / "tables" / "figure-msd.csv").read_text(encoding="utf-8")


def test_without_webgl_a_still_picture_and_a_message(pages, tmp_path):
    opened = browser(tmp_path, webgl=False)
    try:
        visit(opened, pages["complete"])
        assert "no WebGL" in opened.find_element("id", "viewer-message").text
        assert opened.find_element("css selector", ".still-structure svg").is_displayed()
        assert not opened.find_element("id", "viewer").is_displayed()
        assert complaints(opened) == []
        assert requests(opened) == [pages["complete"].as_uri()]
    finally:
        opened.quit()
