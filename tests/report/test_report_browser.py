"""The page in a real browser, opened as a file: it draws, sorts, shows the structure, and asks for nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_sample as sample

from halion.report import write_report

pytestmark = pytest.mark.browser

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (CHROMIUM and DRIVER):
    pytest.skip("no Chromium and driver here: apt-get install chromium chromium-driver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver")

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


@pytest.fixture(scope="module")
def still_driver(tmp_path_factory) -> Iterator:
    opened = browser(tmp_path_factory.mktemp("profile"), webgl=False)
    yield opened
    opened.quit()


def visit(driver, page: Path) -> None:
    """Open a page and wait until its script has run: the last thing it does is the structure."""
    driver.get_log("browser"), driver.get_log("performance")
    driver.get(page.as_uri())
    drawn = "return document.querySelectorAll('.drawing .main-svg').length >= document.querySelectorAll('.drawing').length"
    webdriver.support.wait.WebDriverWait(driver, 30).until(lambda _: driver.execute_script(drawn))


def requests(driver) -> list[str]:
    events = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    addresses = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    # The browser's own start page, and pictures that the page holds itself.
    return [address for address in addresses if not address.startswith(("chrome:", "data:", "blob:"))]


def complaints(driver) -> list[str]:
    return [entry["message"] for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("state", ["complete", "without_value", "failures_only", "one_temperature", "hostile"])
def test_page_draws_without_a_complaint_and_without_the_network(driver, tmp_path, state):
    page = write_report(getattr(sample, state)(), tmp_path)
    visit(driver, page)
    errors = [text for text in complaints(driver) if "GPU stall" not in text]  # a driver's own performance note
    assert errors == []
    assert requests(driver) == [page.as_uri()]
    assert driver.execute_script("return window.broken") is None
    places = driver.find_elements("css selector", ".drawing")
    assert places
    for place in places:
        curves = place.find_elements("css selector", ".scatterlayer .trace")
        assert curves, f"{place.get_attribute('data-figure')} has no curve"
    assert len(driver.find_elements("css selector", "#viewer canvas")) == 1
    assert driver.find_element("id", "viewer-message").text == ""


def test_structure_is_more_than_an_empty_canvas(driver, tmp_path):
    visit(driver, write_report(sample.complete(), tmp_path))
    canvas = driver.find_element("css selector", "#viewer canvas")
    driver.execute_script("arguments[0].scrollIntoView()", canvas)
    before = canvas.screenshot_as_png
    assert len(before) > 10_000, "an empty canvas of this size compresses to about 2 kB"
    button = driver.find_element("css selector", "[data-view='polyhedra']")
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert canvas.screenshot_as_png != before
    for axis in "012":
        driver.find_element("css selector", f"[data-view='{axis}']").click()
    assert complaints(driver) == [] or all("GPU stall" in text for text in complaints(driver))


def test_without_webgl_a_still_picture_and_a_message(still_driver, tmp_path):
    page = write_report(sample.complete(), tmp_path)
    visit(still_driver, page)
    assert "no WebGL" in still_driver.find_element("id", "viewer-message").text
    assert still_driver.find_element("css selector", ".still-structure svg").is_displayed()
    assert not still_driver.find_element("id", "viewer").is_displayed()
    assert complaints(still_driver) == []
    assert requests(still_driver) == [page.as_uri()]


def test_a_click_on_a_header_sorts_up_then_down(driver, tmp_path):
    visit(driver, write_report(sample.complete(), tmp_path))

    def column(k: int) -> list[float]:
        cells = driver.find_elements("css selector", f"#table-ranking tbody td:nth-child({k})")
        return [float(cell.get_attribute("data-value")) for cell in cells]

    header = driver.find_elements("css selector", "#table-ranking th button")[5]
    start = column(6)
    driver.execute_script("arguments[0].click()", header)
    assert column(6) == sorted(start) != start
    assert sorted(column(1)) == [1, 2, 3, 4, 5], "rows move whole"
    driver.execute_script("arguments[0].click()", header)
    assert column(6) == sorted(start, reverse=True)


def test_missing_values_sort_last_either_way(driver, tmp_path):
    visit(driver, write_report(sample.complete(), tmp_path))
    header = driver.find_elements("css selector", "#table-study th button")[4]
    for _ in range(2):
        driver.execute_script("arguments[0].click()", header)
        cells = driver.find_elements("css selector", "#table-study tbody td:nth-child(5)")
        assert cells[-1].get_attribute("data-value") == ""


@pytest.mark.parametrize("width", [390, 820, 1280])
def test_nothing_sticks_out_of_the_screen(driver, tmp_path, width):
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    try:
        for state in ("complete", "hostile"):
            visit(driver, write_report(getattr(sample, state)(), tmp_path / state))
            assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    finally:
        driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_downloads_hold_the_picture_and_the_numbers(driver, tmp_path):
    page = write_report(sample.complete(), tmp_path)
    visit(driver, page)
    fetch = "return decodeURIComponent(escape(atob(document.querySelector(arguments[0]).href.split(',')[1])))"
    svg = driver.execute_script(fetch, "#figure-msd a.svg")
    assert svg == (tmp_path / "figures" / "msd.svg").read_text(encoding="utf-8")
    numbers = driver.execute_script(fetch, "#figure-msd a.file:not(.svg)")
    assert numbers == (tmp_path / "tables" / "figure-msd.csv").read_text(encoding="utf-8")
