"""The leak scanner: nothing that identifies one party may be in any byte that the daemon sends to another.

Identifiers are gathered from what the daemon and a party said to each other: addresses, Call-IDs, tags, branches,
agents, Contact users, host names, o= and s= of descriptions. What a party said itself before it heard it from us, and
dialled numbers and display names (which a call is meant to carry), are no leak."""
import re

from . import capture
from .sip import Msg, uri_of

SDP_SECRET = re.compile(r"a=(?:crypto:\S+ \S+ inline:|fingerprint:\S+ |ice-ufrag:|ice-pwd:|candidate:|ssrc:|msid:)([^|\s]+)")
SHORTEST = 5  # bytes; shorter words are in any message by chance


def words_of(msg):
    """Everything in a message that says who or where somebody is."""
    found = {msg.call_id}
    for name in ("From", "To"):
        found.add(msg.tag(name))
    for via in msg.all("Via"):
        match = re.search(r"branch=([^;,\s]+)", via)
        found.add(match.group(1) if match else None)
        found.add(host_of(via.split()[1].split(";")[0]) if " " in via else None)
    for name in ("User-Agent", "Server"):
        found.add(msg.get(name))
    for value in msg.all("Contact") + msg.all("Record-Route"):
        uri = uri_of(value)
        found |= {user_of(uri), host_of(uri)}
    for name in ("From", "To"):
        found.add(host_of(uri_of(msg.get(name))))
    if msg.uri:
        found.add(host_of(msg.uri))
    for number in re.findall(r"\+?\d+", msg.get("Session-Id")):
        found.add(number)
    return found | sdp_words(msg)


def sdp_words(msg):
    found = set()
    for line in msg.body.decode(errors="surrogateescape").split("\r\n"):
        if line.startswith("o="):
            parts = line[2:].split()
            found |= set(parts[:2]) | set(parts[5:6])
        elif line[:2] in ("s=", "i=", "u=", "e=", "p="):
            found.add(line[2:].strip())
        elif line.startswith("c="):
            found.add(line.split()[-1])
        else:  # keys, fingerprints, ICE credentials and names of sources and streams are each leg's own
            secret = SDP_SECRET.match(line)
            found.add(secret.group(1) if secret else None)
    return found


def own_words(msg):
    """What the daemon says of itself to everybody: the fingerprint of its one certificate."""
    return set(re.findall(r"a=fingerprint:\S+ (\S+)", msg.body.decode(errors="surrogateescape")))


def user_of(uri):
    match = re.match(r"sips?:([^@;>]+)@", uri)
    return match.group(1) if match else None


def host_of(text):
    text = re.sub(r"^sips?:(?:[^@]*@)?", "", text)
    match = re.match(r"\[([^\]]+)\]|([^:;>?]+)", text)
    return (match.group(1) or match.group(2)).strip() if match else None


class Scanner:
    """parties: name -> set of addresses; ours: the daemon's addresses."""

    def __init__(self, parties, ours):
        self.parties = {name: set(ips) for name, ips in parties.items()}
        self.ours = set(ours)
        self.owner = {ip: name for name, ips in self.parties.items() for ip in ips}

    def party(self, packet):
        """(name, True when the daemon is speaking) or (None, False)"""
        if packet.src in self.ours and packet.dst in self.owner:
            return self.owner[packet.dst], True
        if packet.dst in self.ours and packet.src in self.owner:
            return self.owner[packet.src], False
        return None, False

    def listeners(self, packets):
        """name -> our addresses where that party speaks to us"""
        out = {name: set() for name in self.parties}
        for packet in packets:
            name, speaking = self.party(packet)
            if name is not None and not speaking:
                out[name].add(packet.dst)
        return out

    def gather(self, packets):
        """name -> its identifiers, name -> those that it knew before we told it"""
        ids = {name: set(ips) for name, ips in self.parties.items()}
        said = {name: set() for name in self.parties}
        told = {name: set() for name in self.parties}
        numbers = {"sip", "anonymous", "invalid", "anonymous.invalid"}
        for name, spoken_to in self.listeners(packets).items():
            ids[name] |= spoken_to
        for packet, data in capture.sip_messages(packets):
            name, speaking = self.party(packet)
            if name is None:
                continue
            msg = Msg.parse(data)
            words = {w for w in words_of(msg) if w}
            words -= own_words(msg) if speaking else set()
            ids[name] |= words
            if speaking:
                told[name] |= words
            else:
                said[name] |= words - told[name]
            for header in ("From", "To"):
                numbers.add(user_of(uri_of(msg.get(header))))
            if msg.uri:
                numbers.add(user_of(msg.uri))
        for name in ids:
            ids[name] = {w for w in ids[name] if len(w) >= SHORTEST and w not in numbers}
        return ids, said

    def streams_to(self, packets):
        """name -> the byte strings that the daemon sent there"""
        out = {name: [] for name in self.parties}
        for packet in packets:
            name, speaking = self.party(packet)
            if speaking and packet.proto == "udp":
                out[name].append(packet.payload)
        for (src, _, dst, _), data in capture.tcp_streams(packets).items():
            if src in self.ours and dst in self.owner:
                out[self.owner[dst]].append(data)
        return out

    def scan(self, packets):
        """[(to whom, whose, identifier, where)]"""
        ids, said = self.gather(packets)
        sent = self.streams_to(packets)
        listeners = self.listeners(packets)
        leaks = []
        for to, chunks in sent.items():
            lowered = [c.lower() for c in chunks]
            for whose, words in ids.items():
                # what they say themselves, and our own address that they speak to, they know
                for word in words - said[to] - listeners[to] if whose != to else ():
                    raw = word.lower().encode(errors="surrogateescape")
                    for chunk, low in zip(chunks, lowered):
                        at = low.find(raw)
                        if at >= 0:
                            leaks.append((to, whose, word, chunk[max(0, at - 60):at + 60]))
                            break
        return leaks

    def coverage(self, packets):
        """How many identifiers were looked for in how many bytes; for the test of the test."""
        ids, _ = self.gather(packets)
        sent = self.streams_to(packets)
        return sum(len(w) for w in ids.values()), sum(len(c) for cs in sent.values() for c in cs)
