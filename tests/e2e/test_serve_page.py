"""The dashboard's page in a real browser, while a run goes on."""

import pathlib
import unittest

from browser import Browser
from dashboards import Dashboard, SimulatedRun
from support import E2ETestCase

TOKEN = "correct-horse-battery-staple"
# Whether a canvas shows anything in one of the curves' colours.
PICTURE = "document.querySelector('figure:not([hidden]) canvas').toDataURL()"
LOSS = "document.querySelector('figure:not([hidden])')?.dataset?"
NO_OVERFLOW = "document.documentElement.scrollWidth <= innerWidth"


class Page(E2ETestCase):

    def setUp(self):
        super().setUp()
        self.runs = self.dir / "runs"
        self.run = SimulatedRun(self.runs, "first", budget_steps=200)
        self.run.advance(60, evaluate_every=20)

    def browse(self, **settings):
        browser = Browser(**settings)
        browser.__enter__()
        self.addCleanup(browser.__exit__)
        return browser

    def assert_no_problems(self, browser):
        browser.evaluate("1")  # takes what is still under way
        self.assertEqual(browser.problems, [])

    def test_curves_appear_and_move_while_the_run_goes_on(self):
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait(f"{LOSS}.lastX === '60'")
            self.assertIn("first", browser.evaluate("document.querySelector('h1').textContent"))
            before = browser.evaluate(PICTURE)
            blank = browser.evaluate("(() => { const c = document.createElement('canvas'), o = document.querySelector('canvas');"
                                     "c.width = o.width; c.height = o.height; return c.toDataURL(); })()")
            self.assertNotEqual(before, blank)
            self.run.advance(60, evaluate_every=20)
            self.run.glue(rte=61.5)
            browser.wait(f"{LOSS}.lastX === '120'")
            self.assertNotEqual(browser.evaluate(PICTURE), before)
            browser.wait("document.body.innerText.includes('120')")
            browser.wait("document.querySelector('.more').innerText.includes('61.5')")
            self.run.advance(80, state="finished")
            browser.wait("document.querySelector('h1 .state').textContent === 'finished'")
            browser.wait("document.querySelector('.log').textContent.includes('step 200')")
            self.assertTrue(browser.evaluate(NO_OVERFLOW))
            self.assert_no_problems(browser)

    def test_a_heartbeat_alone_has_no_curves_read_again(self):
        asked = "performance.getEntriesByType('resource').filter((entry) => entry.name.includes('/{}')).length"
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait(f"{LOSS}.lastX === '60' && {asked.format('log')} === 1")
            self.assertEqual(browser.evaluate(asked.format("series")), 1)
            self.run.seconds_per_step = 300
            self.run.beat()
            browser.wait(f"document.querySelector('.tiles').innerText.includes('5\u00a0h') && {asked.format('log')} === 2")
            self.assertEqual(browser.evaluate(asked.format("series")), 1)
            self.run.advance(1)
            browser.wait(f"{LOSS}.lastX === '61'")
            self.assertEqual(browser.evaluate(asked.format("series")), 2)
            self.assert_no_problems(browser)

    def test_gaps_and_what_the_gpu_says_are_shown(self):
        run = SimulatedRun(self.runs, "warm", budget_steps=100, on_gpu=True)
        run.advance(40, evaluate_every=20)
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(f"{dashboard.url}#/run/{dashboard.runs()['warm']['id']}")
            browser.wait("document.querySelectorAll('.samples > div').length === 3")
            first = "document.querySelector('.samples > div').innerText"
            self.assertIn("… they had breakfast in the kitchen before the guests arrived …", browser.evaluate(first))
            self.assertIn("step 40", browser.evaluate("document.querySelector('.samples').innerText"))
            self.assertEqual(browser.evaluate("[...document.querySelectorAll('.samples > div b')].map((b) => b.textContent.split(' ')[0])"),
                             ["kitchen", "flows", "1887"])
            titles = "[...document.querySelectorAll('figure:not([hidden]) figcaption')].map((each) => each.textContent).join()"
            browser.wait(f"{titles}.includes('GPU temperature') && {titles}.includes('GPU power')")
            before = browser.evaluate(first)
            run.advance(60, evaluate_every=20, state="finished")
            browser.wait(f"document.querySelector('.samples').innerText.includes('step 100') && {first} !== {before!r}")
            self.assert_no_problems(browser)
            browser.open(f"{dashboard.url}#/run/{dashboard.runs()['first']['id']}")
            browser.wait(f"{LOSS}.lastX === '60'")
            self.assertNotIn("temperature", browser.evaluate(titles))

    def test_it_fits_a_phone_and_a_wide_screen_light_and_dark(self):
        SimulatedRun(self.runs, "sweep/" + "a-very-long-name-without-any-space-" * 4, seed=2).advance(20)
        self.run.glue(rte=61.5, mrpc=84.2)
        with Dashboard(self.runs) as dashboard:
            for width, dark in ((390, False), (390, True), (1440, False), (1440, True)):
                with self.subTest(width=width, dark=dark):
                    browser = self.browse(width=width, height=844, dark=dark)
                    browser.open(dashboard.url)
                    browser.wait("document.querySelectorAll('#list li').length === 2")
                    self.assertTrue(browser.evaluate(NO_OVERFLOW), "the list")
                    browser.evaluate("document.querySelector('#list a[href^=\"#/run\"]').click()")
                    browser.wait(f"document.querySelector('main h1') && {LOSS}.lastX")
                    browser.wait("document.querySelector('.more table')")
                    self.assertTrue(browser.evaluate(NO_OVERFLOW), "a run")
                    light = browser.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0] > 128")
                    self.assertEqual(light, not dark)
                    browser.evaluate("location.hash = '#/compare/' + [...document.querySelectorAll('#list a[href^=\"#/run\"]')]"
                                     ".map((a) => a.hash.split('/')[2]).join()")
                    browser.wait("document.querySelector('h1').textContent === 'Comparison'")
                    browser.wait(f"{LOSS}.points > 60")
                    self.assertTrue(browser.evaluate(NO_OVERFLOW), "a comparison")
                    self.assert_no_problems(browser)

    def test_text_of_a_run_is_never_html(self):
        evil = "<img src=x onerror=\"window.hacked=1\"><b>"
        run = SimulatedRun(self.runs, evil.replace("/", ""), seed=3)
        run.advance(10)
        run.log("<script>window.hacked=2</script>")
        gap = {"before": evil, "truth": evil, "after": evil, "top": [{"token": evil, "probability": 0.5}, {"token": evil, "probability": None}]}
        run.append({"step": 10, "tokens": 10, "elapsed_seconds": 1, "eval_loss": 3.0, "samples": [gap]})
        (run.path / "config.yaml").write_text("# <img src=x onerror='window.hacked=3'>\nseed: 7\n")
        (run.path / "glue").mkdir()
        (run.path / "glue" / "results.json").write_text(
            '{"protocol": "<i>", "tasks": {"<u>": {"metric": "<s>", "median": 1, "mean": 1, "sd": 0, "seeds": []}}}')
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(f"{dashboard.url}#/run/{dashboard.runs()[run.path.name]['id']}")
            browser.wait("document.querySelector('.log')?.textContent.includes('<script>')")
            self.assertEqual(browser.evaluate("document.querySelector('h1 span').textContent"), run.path.name)
            browser.wait("document.querySelector('.samples mark')")
            self.assertEqual(browser.evaluate("document.querySelector('.samples mark').textContent"), evil)
            self.assertEqual(browser.evaluate("document.querySelectorAll('main img, main script, main u, main s, #list img').length"), 0)
            self.assertIsNone(browser.evaluate("window.hacked"))
            self.assert_no_problems(browser)

    def test_a_token_is_taken_from_the_address_once_or_asked_for(self):
        token = self.dir / "token"
        token.write_text(TOKEN)
        with Dashboard(self.runs, "--token-file", token) as dashboard:
            browser = self.browse()
            browser.open(f"{dashboard.url}#token={TOKEN}")
            browser.wait(f"document.querySelector('h1') && {LOSS}.lastX === '60'")
            self.assertNotIn(TOKEN, browser.evaluate("location.href"))
            self.assert_no_problems(browser)
            browser.evaluate("sessionStorage.clear()")
            browser.open("about:blank")
            browser.open(dashboard.url)
            browser.wait("document.querySelector('dialog').open")
            browser.evaluate("document.querySelector('dialog input').value = 'wrong'; document.querySelector('dialog button').click()")
            browser.wait("document.querySelector('dialog').open && document.querySelector('dialog input').value === ''")
            browser.evaluate("document.querySelector('dialog input').value = '\u2026'; document.querySelector('dialog button').click()")
            browser.wait("document.querySelector('dialog').open && document.querySelector('dialog input').value === ''")
            browser.evaluate(f"document.querySelector('dialog input').value = '{TOKEN}';"
                             "document.querySelector('dialog button').click()")
            browser.wait("document.querySelector('h1')")

    def test_a_token_may_hold_what_addresses_escape(self):
        token = self.dir / "token"
        token.write_text("100%sure-abcdefgh#?&")
        with Dashboard(self.runs, "--token-file", token) as dashboard:
            for written in ("100%sure-abcdefgh#?&", "100%25sure-abcdefgh%23%3F%26"):
                browser = self.browse()
                browser.open(f"{dashboard.url}#token={written}")
                browser.wait("document.querySelector('h1')")
                self.assert_no_problems(browser)

    def test_of_many_picked_runs_the_button_says_how_many_are_compared(self):
        for number in range(9):
            SimulatedRun(self.runs, f"more-{number}", seed=number).advance(10)
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait("document.querySelectorAll('#list li').length === 10")
            browser.evaluate("document.querySelectorAll('#list input[type=checkbox]').forEach((box) => box.click())")
            self.assertEqual(browser.evaluate("document.querySelector('#list .button').textContent"),
                             "Compare the first 8 of 10 runs")
            browser.evaluate("document.querySelector('#list .button').click()")
            browser.wait("document.querySelector('h1').textContent === 'Comparison'")
            self.assertEqual(browser.evaluate("location.hash.split(',').length"), 8)
            self.assert_no_problems(browser)

    def test_controls_change_what_is_drawn(self):
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait(f"document.querySelector('h1') && {LOSS}.lastX === '60'")
            press = "[...document.querySelectorAll('.segmented button')].find((b) => b.textContent === '{}').click()"
            browser.evaluate(press.format("tokens"))
            browser.wait(f"{LOSS}.lastX === '{60 * 131072}'")
            before = browser.evaluate(PICTURE)
            browser.evaluate(press.format("log"))
            logarithmic = browser.evaluate(PICTURE)
            self.assertNotEqual(logarithmic, before)
            browser.evaluate(press.format("smooth"))
            self.assertNotEqual(browser.evaluate(PICTURE), logarithmic)
            browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(self.dir))
            browser.evaluate("[...document.querySelectorAll('button')].find((b) => b.textContent === 'training CSV').click()")
            file = pathlib.Path(self.dir) / "first-training.csv"
            dashboard.wait_for(file.exists)
            dashboard.wait_for(lambda: file.read_text().startswith("step,elapsed_seconds,"))
            self.assert_no_problems(browser)

    def test_marks_at_axes_are_exact(self):
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            self.assertEqual(browser.evaluate("""import('/chart.js').then(({ticks, digitsFor}) => [
                digitsFor([5, 10, 15]), digitsFor([2.5e-4, 5e-4, 1e-3]), digitsFor([10600, 10700, 10800]),
                digitsFor([0, 3 * 0.0001]), ticks(2, 14.5, false, 6), ticks(0.5, 600, true, 6)])"""),
                             [2, 2, 3, 1, [2.5, 5, 7.5, 10, 12.5], [1, 10, 100]])
            self.assertEqual(browser.evaluate("""import('/format.js').then(({percent, trimmed, compact, duration}) => [
                percent(0.256, 1), percent(1e308), trimmed(2.5e-4, 2), trimmed(15, 2), trimmed(0, 1), compact(10600, 3), duration(7380), duration(36000)])"""),
                             ["25.6\u00a0%", "\u2013\u00a0%", "2.5e-4", "15", "0", "10.6k", "2\u00a0h 3\u00a0min", "10\u00a0h"])

    def test_no_mark_at_an_axis_is_cut(self):
        with Dashboard(self.runs) as dashboard:
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait(f"document.querySelector('h1') && {LOSS}.lastX === '60'")
            marks = browser.evaluate("""(() => {
                const marks = [];
                const pens = CanvasRenderingContext2D.prototype;
                const fillText = pens.fillText;
                pens.fillText = function (text, x, y) {
                    if (this.textAlign === 'right') {
                        marks.push([text, x - this.measureText(text).width]);
                    }
                    fillText.call(this, text, x, y);
                };
                document.querySelectorAll('canvas').forEach((canvas) => canvas.dispatchEvent(new PointerEvent('pointerleave')));
                return marks;
            })()""")
            memory = [text for text, _ in marks if text.endswith("GiB")]  # of a range of 3 MiB above 6 GiB
            self.assertEqual(memory, ["6\u00a0GiB", "6.001\u00a0GiB", "6.002\u00a0GiB"])
            self.assertEqual([mark for mark in marks if mark[1] < 0], [])
            self.assert_no_problems(browser)

    def test_it_goes_on_when_the_server_comes_back(self):
        with Dashboard(self.runs) as dashboard:
            port = dashboard.port
            browser = self.browse()
            browser.open(dashboard.url)
            browser.wait(f"document.querySelector('#connection').textContent === 'live' && {LOSS}.lastX === '60'")
        browser.wait("document.querySelector('#connection').textContent === 'no connection'")
        browser.evaluate("[...document.querySelectorAll('.segmented button')].find((b) => b.textContent === 'tokens').click()")
        browser.wait("!document.querySelector('.warning').hidden")
        with Dashboard(self.runs, port=port):
            browser.wait("document.querySelector('#connection').textContent === 'live'")
            browser.wait(f"{LOSS}.lastX === '{60 * 131072}' && document.querySelector('.warning').hidden")


if __name__ == "__main__":
    unittest.main(verbosity=2)
