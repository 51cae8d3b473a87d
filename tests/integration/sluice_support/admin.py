"""A client of the admin API."""

import requests


class ApiError(AssertionError):
    """An answer with another status than the caller expected."""

    def __init__(self, method, path, response):
        self.response = response
        self.status = response.status_code
        try:
            self.problem = response.json()
        except ValueError:
            self.problem = None
        super().__init__(f"{method} {path}: {response.status_code} {response.text[:2000]}")


class AdminClient:
    def __init__(self, base_url, token=None):
        self.base_url = base_url.rstrip("/")
        self.token = token
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy on the way to 127.0.0.1

    def with_token(self, token):
        return AdminClient(self.base_url, token)

    def request(self, method, path, expect=None, headers=None, timeout=60, **kwargs):
        """The raw response. With `expect` (a status or several) anything else raises ApiError."""
        headers = dict(headers or {})
        if self.token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self.token}"
        response = self._session.request(method, self.base_url + path, headers=headers, timeout=timeout, **kwargs)
        if expect is not None:
            expected = (expect,) if isinstance(expect, int) else tuple(expect)
            if response.status_code not in expected:
                raise ApiError(method, path, response)
        return response

    def create(self, kind, **fields):
        """POST /v1/{kind}; returns the object as the answer shows it, once-shown secrets included."""
        return self.request("POST", f"/v1/{kind}", expect=201, json=fields).json()

    def get(self, kind, key):
        return self.request("GET", f"/v1/{kind}/{key}", expect=200).json()

    def list(self, kind, /, **query):
        """Every object of a kind, over all pages."""
        found, cursor = [], None
        while True:
            page_query = {**query, **({"cursor": cursor} if cursor else {})}
            page = self.request("GET", f"/v1/{kind}", expect=200, params=page_query).json()
            found.extend(page["items"])
            cursor = page.get("next")
            if not cursor:
                return found

    def revision(self):
        """The catalog's."""
        return self.request("GET", "/health/ready", expect=200).json()["revision"]

    def _etag(self, kind, key):
        return self.request("GET", f"/v1/{kind}/{key}", expect=200).headers["ETag"]

    def patch(self, kind, key, **fields):
        """A merge patch on the current revision."""
        headers = {"If-Match": self._etag(kind, key), "Content-Type": "application/merge-patch+json"}
        return self.request("PATCH", f"/v1/{kind}/{key}", expect=200, json=fields, headers=headers).json()

    def put(self, kind, key, **fields):
        headers = {"If-Match": self._etag(kind, key)}
        return self.request("PUT", f"/v1/{kind}/{key}", expect=200, json=fields, headers=headers).json()

    def delete(self, kind, key):
        self.request("DELETE", f"/v1/{kind}/{key}", expect=204)

    def act(self, kind, key, action, **fields):
        """POST /v1/{kind}/{key}/{action}, such as approving a subscription."""
        return self.request("POST", f"/v1/{kind}/{key}/{action}", expect=(200, 201, 204), json=fields or None)
