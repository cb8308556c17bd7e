"""Whole calls between two user agents of kit.sip, for tests that are about something else."""
from .sip import write_sdp


def offer(ip, name, **how):
    """A description without an ear behind it."""
    return write_sdp(ip, 40000 + int(ip[-1]) * 2, name, **how)


def established(pair, number="+15550100"):
    """An answered call: (caller's view, callee's view)."""
    a, b = pair
    near = a.invite(number, offer(a.ip, a.name))
    far = b.incoming()
    far.reply(180)
    near.wait(180)
    far.reply(200, offer(b.ip, b.name))
    near.result()
    near.ack()
    far.expect("ACK")
    settle(near)
    return near, far


def settle(call):
    """The owner of the call has seen this side's ACK, which may have come by another worker: no 491 for what comes next."""
    call.answer_to(call.send("OPTIONS"))


def hang_up(near, far):
    bye = near.send("BYE")
    far.take_bye()
    near.answer_to(bye)
