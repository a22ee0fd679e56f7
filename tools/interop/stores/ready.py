"""Waits until a store's server answers and makes the bucket: ready.py moto|azurite|gcs|versitygw PORT. Only Python's own library."""
import base64, hashlib, hmac, json, socket, sys, time, urllib.error, urllib.request
from email.utils import formatdate

BUCKET = "forebay"
# Azurite's own account, as its documentation prints it.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2023-11-03"


def ask(method, url, headers={}, body=None):
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        if error.code == 409:  # the bucket is there
            return 409
        raise SystemExit(f"{method} {url}: {error.code} {error.read().decode(errors='replace')}")


def azure(port):
    path = f"/{ACCOUNT}/{BUCKET}"
    date = formatdate(usegmt=True)
    named = f"x-ms-date:{date}\nx-ms-version:{VERSION}"
    text = "PUT" + "\n" * 12 + f"{named}\n/{ACCOUNT}{path}\nrestype:container"
    digest = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
    sign = f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"
    headers = {"x-ms-date": date, "x-ms-version": VERSION, "Authorization": sign, "Content-Length": "0"}
    return ask("PUT", f"http://127.0.0.1:{port}{path}?restype=container", headers)


def main(kind, port):
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        raise SystemExit(f"{kind}: nothing listens on port {port} after a minute")
    if kind == "moto":
        ask("PUT", f"http://127.0.0.1:{port}/{BUCKET}", {"Content-Length": "0"})
    elif kind == "azurite":
        azure(port)
    elif kind == "gcs":
        body = json.dumps({"name": BUCKET}).encode()
        ask("POST", f"http://127.0.0.1:{port}/storage/v1/b", {"Content-Type": "application/json"}, body)
    print("ready", flush=True)


main(sys.argv[1], int(sys.argv[2]))
