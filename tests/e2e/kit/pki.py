"""Certificates for the tests, made on the spot with the openssl command."""
import os
import ssl
import subprocess

from . import net

CA_EXTENSIONS = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n"


def openssl(*args, text=None):
    done = subprocess.run(["openssl", *args], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(args)}: {done.stderr}"
    return done.stdout


class Pki:
    """One authority and what it has signed, as PEM files of a directory."""

    def __init__(self, work, name="ca"):
        self.dir = os.path.join(str(work), "pki-" + name)
        os.makedirs(self.dir)
        self.key, self.cert = self.path("ca.key"), self.path("ca.pem")
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-days", "2", "-subj", f"/CN=Test {name}", "-out", self.cert,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def path(self, name):
        return os.path.join(self.dir, name)

    def leaf(self, name, san, days=1):
        """{certificate, key}: where a new certificate for san and its key lie. The same name again replaces the files."""
        key, csr, cert, ext = (self.path(name + end) for end in (".key", ".csr", ".pem", ".ext"))
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key)
        openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", csr)
        with open(ext, "w", encoding="ascii") as f:
            f.write(f"subjectAltName={san}\n")
        openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", str(days),
                "-extfile", ext, "-out", cert)
        os.chmod(key, 0o600)
        return {"certificate": cert, "key": key}

    def client(self, leaf=None, verify=True):
        """A context for a client of the daemon; leaf: its certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
        context.load_verify_locations(self.cert)
        if leaf:
            context.load_cert_chain(leaf["certificate"], leaf["key"])
        return context

    def server(self, leaf, ask=False):
        """A context for a far side that the daemon dials; ask: wants a certificate of this authority."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf["certificate"], leaf["key"])
        if ask:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.cert)
        return context


def names_of(sock):
    """The DNS names and addresses of what the far side of a connection has shown."""
    return sorted(value for _, value in sock.getpeercert().get("subjectAltName", ()))


def serial_of(sock):
    return sock.getpeercert()["serialNumber"]


def tls_house(pki, **verify):
    """What a configuration needs for TLS on both listeners."""
    both = {**pki.leaf("postern", f"IP:{net.OUT},IP:{net.IN},DNS:edge.example.test"), **verify}
    return {"outside": {"sip": {"tls": 5061}, "tls": both}, "inside": {"sip": {"tls": 5061}, "tls": both}}
