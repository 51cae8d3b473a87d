"""A person before the portal: what a browser and the portal's pages do, with cookies and the CSRF token."""

import posixpath
import re

import requests

from .admin import ApiError

PASSWORD = "correct horse battery staple"


class Browser:
    def __init__(self, base_url, verify=None):
        self.base_url = base_url.rstrip("/")
        self.csrf = None
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to 127.0.0.1
        if verify:
            self._session.verify = verify

    def request(self, method, path, expect=None, headers=None, csrf=True, **kwargs):
        """As a page of the portal sends it. `csrf` False leaves the token away."""
        headers = {"Origin": self.base_url, **(headers or {})}
        if csrf and self.csrf and method != "GET":
            headers.setdefault("X-CSRF-Token", self.csrf)
        kwargs.setdefault("allow_redirects", False)
        response = self._session.request(method, self.base_url + path, headers=headers, timeout=60, **kwargs)
        if expect is not None and response.status_code != expect:
            raise ApiError(method, path, response)
        return response

    def get(self, path, expect=200, **kwargs):
        return self.request("GET", path, expect=expect, **kwargs).json()

    def post(self, path, expect=200, **body):
        response = self.request("POST", path, expect=expect, json=body)
        return response.json() if response.content else None

    def _signed_in(self, answer):
        self.csrf = answer["csrf"]
        return answer

    def session(self):
        answer = self.get("/auth/session")
        self.csrf = answer.get("csrf")
        return answer

    def sign_in(self, name, password=PASSWORD):
        return self._signed_in(self.post("/auth/sign-in", name=name, password=password))

    def accept(self, invitation, name, password=PASSWORD, **fields):
        return self._signed_in(self.post("/auth/invitation/accept", expect=201, token=invitation["token"], name=name,
                                         password=password, **fields))

    @property
    def cookies(self):
        return self._session.cookies

    def with_same_cookies(self):
        """Another browser that was given this one's cookies: a thief's."""
        other = Browser(self.base_url)
        other.csrf = self.csrf
        other._session.cookies.update(self._session.cookies)
        return other


def newcomer(control, name, role="viewer", team=None, **fields):
    """A person with an account of their own, signed in."""
    invitation = control.admin.create("invitations", role=role, **({"team": team} if team else {}))
    browser = Browser(control.portal_url)
    browser.accept(invitation, name, **fields)
    return browser


def portal_files(browser):
    """What the pages are made of, from what refers to what: {path: bytes as they are transferred}."""
    def fetched(path):
        answer = browser.request("GET", path, headers={"Accept-Encoding": "gzip"}, expect=200, stream=True)
        return len(answer.raw.read())

    html = browser.request("GET", "/", expect=200).text
    folder = re.search(r"/assets/[0-9a-f]+/", html).group()
    files, wanted = {"/": fetched("/")}, {"main.js", "style.css", "icon.svg"}
    while wanted - set(files):
        path = min(wanted - set(files))
        files[path] = fetched(folder + path)
        if path.endswith(".js"):
            text = browser.request("GET", folder + path, expect=200).text
            wanted |= {posixpath.normpath(posixpath.join(posixpath.dirname(path), found))
                       for found in re.findall(r"from '([^']+\.js)'", text)}
    return files
