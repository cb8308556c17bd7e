"""A client of the admin API."""
import json
import urllib.error
import urllib.parse
import urllib.request


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


class Api:
    def __init__(self, base, token_file=None):
        self.base, self.token_file = base, token_file
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def token(self):
        with open(self.token_file, encoding="ascii") as f:
            return f.read().strip()

    def request(self, method, path, query=None, headers=None, token=True, data=None, timeout=30):
        if query:
            path += "?" + urllib.parse.urlencode(query)
        request = urllib.request.Request(self.base + path, method=method, headers=headers or {}, data=data)
        if token:
            request.add_header("Authorization", "Bearer " + (self.token() if token is True else token))
        try:
            with self.opener.open(request, timeout=timeout) as answer:
                return Answer(answer.status, answer.headers, answer.read().decode())
        except urllib.error.HTTPError as e:
            with e:
                return Answer(e.code, e.headers, e.read().decode(errors="replace"))

    def get(self, path, **query):
        answer = self.request("GET", path, query)
        assert answer.status == 200, f"GET {path}: {answer}"
        return answer.json

    def delete(self, path):
        return self.request("DELETE", path)

    def ready(self):
        """(ready, body) or (False, None) when nobody answers."""
        try:
            answer = self.request("GET", "/readyz", token=False, timeout=5)
        except OSError:
            return False, None
        return answer.status == 200, answer.body

    def calls(self, **query):
        return self.get("/v1/calls", **query)["items"]

    def cdrs(self, **query):
        return self.get("/v1/cdrs", **{"limit": 1000, **query})["items"]

    def system(self):
        return self.get("/v1/system")

    def metrics(self):
        """{'name{labels}': value} of /metrics."""
        answer = self.request("GET", "/metrics", token=False)
        assert answer.status == 200, answer
        out = {}
        for line in answer.body.splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out
