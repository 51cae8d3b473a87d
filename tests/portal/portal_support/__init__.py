"""People in front of a browser, and what is looked at on every page that they see."""

import json
import os
import pathlib

from sluice_support.portal import newcomer

WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 360, "height": 740}

# Would run if any of it became markup, a script, or the address of a link that somebody follows.
HOSTILE = '"><img src=x onerror="window.pwned=1"><script>window.pwned=2</script><svg onload=window.pwned=3>{{7*7}}'


def axe_source():
    return (pathlib.Path(os.environ["SLUICE_NODE_DIR"]) / "node_modules/axe-core/axe.min.js").read_text()


class Person:
    """Somebody in front of a browser: `page` is their tab (Playwright). With a role they have an account and are signed
    in, and `http` is their session for requests; without one they just came."""

    def __init__(self, chromium, control, name, role=None, team=None):
        self.name, self.url = name, control.portal_url
        self.context = chromium.new_context(viewport=WIDE, base_url=self.url)
        self.context.set_default_timeout(45000)
        if role:
            self.http = newcomer(control, name, role, team)
            self.context.add_cookies([{"name": cookie.name, "value": cookie.value, "url": self.url, "httpOnly": True}
                                      for cookie in self.http.cookies])
        self.context.add_init_script(
            "document.addEventListener('securitypolicyviolation', (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))")
        self.page = self.context.new_page()
        self.trouble = []
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("dialog", self._dialog)
        self.page.on("console", self._console)

    def _dialog(self, dialog):
        self.trouble.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _console(self, message):
        # What was answered with 4xx is told there too: pages show it.
        if message.type == "error" and "the server responded with a status of" not in message.text:
            self.trouble.append(f"console: {message.text}")

    def leave(self):
        self.context.close()

    def open(self, path):
        """Opens a page and waits until all of it is there."""
        self.page.goto(path)
        return self.settle()

    def settle(self):
        self.page.wait_for_function(
            "() => document.querySelector('main h1') && !document.querySelector('main[aria-busy], main [aria-busy]')")
        return self.page

    def see(self, text):
        self.page.get_by_text(text).first.wait_for()

    def look(self):
        """Keeps pictures of the page, for people, where SLUICE_PORTAL_PICTURES names a folder."""
        folder = os.environ.get("SLUICE_PORTAL_PICTURES")
        name = self.page.evaluate("() => location.pathname").strip("/").replace("/", "-") or "start"
        for scheme, size in (("light", WIDE), ("dark", NARROW)) if folder else ():
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.page.set_viewport_size(size)
            self.page.screenshot(path=f"{folder}/{name}-{scheme}.png", full_page=True)

    def confirm(self, button, verb):
        """Presses a button and confirms in the dialog that opens."""
        self.page.get_by_role("button", name=button).first.click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name=verb, exact=True).click()
        dialog.wait_for(state="detached")
        return self.settle()

    def check_unharmed(self):
        """Nothing that people wrote ran, or was stopped by the content security policy alone."""
        assert self.page.evaluate("() => window.pwned") is None
        assert self.trouble == []

    def check_access(self):
        """axe has no serious finding, light and dark, and nothing is wider than a narrow screen."""
        self.look()
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            self.page.evaluate(axe_source())
            found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
            serious = [{"rule": v["id"], "where": [n["html"][:200] for n in v["nodes"][:3]]}
                       for v in found["violations"] if v["impact"] in ("serious", "critical")]
            assert serious == [], f"{self.page.url} ({scheme}): {json.dumps(serious, indent=1)}"
        self.page.emulate_media(color_scheme="light", reduced_motion="reduce")
        self.page.set_viewport_size(NARROW)
        self.page.wait_for_function("(width) => innerWidth === width", arg=NARROW["width"])
        assert self.page.evaluate("() => document.documentElement.scrollWidth") <= NARROW["width"], self.page.url
        self.page.set_viewport_size(WIDE)
