"""REGISTER by hand, with and without credentials."""
from . import net
from .sip import digest, unique

DOMAIN = "example.test"
AOR = "sip:{}@" + DOMAIN


def send_register(ua, user, auth=None, contact=None, expires=None, call_id=None, cseq=1, headers=(), to=None):
    extra = list(headers)
    if auth:
        extra.append(("Authorization", auth))
    if contact is not False:
        extra.append(("Contact", contact or ua.contact()))
    if expires is not None:
        extra.append(("Expires", str(expires)))
    req = ua.request("REGISTER", f"sip:{DOMAIN}", from_=f"<{AOR.format(user)}>;tag={unique()}", contact=False,
                     to=f"<{to or AOR.format(user)}>", call_id=call_id, cseq=cseq, headers=extra)
    return ua.expect(lambda m: not m.is_request and m.call_id == req.call_id and m.cseq == req.cseq)


def challenge_of(ua, user):
    rsp = send_register(ua, user)
    assert rsp.status == 401, rsp
    return rsp.get("WWW-Authenticate")


def register(ua, user, password, expires=300, contact=None, call_id=None, cseq=1, **how):
    """Challenge and answer; the final response."""
    call_id = call_id or unique()
    first = send_register(ua, user, expires=expires, contact=contact, call_id=call_id, cseq=cseq, **how)
    assert first.status == 401, first
    auth = digest("REGISTER", f"sip:{DOMAIN}", user, password, first.get("WWW-Authenticate"))
    return send_register(ua, user, auth, expires=expires, contact=contact, call_id=call_id, cseq=cseq + 1, **how)


def bindings(daemon, user=None):
    items = daemon.api.get("/v1/registrations")["items"]
    return [b for b in items if user in (None, b["user"])]


def listed(daemon, count, seconds=3):
    """The bindings, once there are so many: the list is read from the store, which is written in batches."""
    net.until(lambda: len(bindings(daemon)) == count, seconds, f"{count} bindings are due, there is {bindings(daemon)}")
    return bindings(daemon)
