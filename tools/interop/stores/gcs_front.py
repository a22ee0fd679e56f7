"""Google Cloud Storage's XML API, told to fake-gcs-server in its JSON API: gcs_front.py PORT fake-gcs-server, which it starts.

The server knows uploads and conditions by its JSON API alone, and clients of object_store write by the XML one. A PUT becomes an
upload of media with the same condition, which the server decides; parts of an upload wait here until it is completed. Reads,
listings and deletes go through as they are. Only Python's own library."""
import http.client, itertools, json, signal, socket, subprocess, sys, threading, urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

UPLOADS, NUMBERS, LOCK = {}, itertools.count(1), threading.Lock()
HERE = int(sys.argv[1])
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    THERE = free.getsockname()[1]
PASSED = {"content-type", "etag", "last-modified", "x-goog-generation", "content-range", "x-goog-hash"}


class Front(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *words):
        pass

    def ask(self, method, path, body=None, headers={}):
        server = http.client.HTTPConnection("127.0.0.1", THERE, timeout=60)
        try:
            server.request(method, path, body, {"Host": self.headers["Host"], **headers})
            answer = server.getresponse()
            return answer.status, dict((name.lower(), value) for name, value in answer.getheaders()), answer.read()
        finally:
            server.close()

    def tell(self, status, headers={}, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            if name in PASSED:
                self.send_header(name, value)
        length = headers.get("content-length") if self.command == "HEAD" else str(len(body))
        self.send_header("content-length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def upload(self, bucket, name, body):
        """An object whole, if the condition of this request holds."""
        query = {"uploadType": "media", "name": name}
        if (generation := self.headers.get("x-goog-if-generation-match")) is not None:
            query["ifGenerationMatch"] = generation
        path = f"/upload/storage/v1/b/{bucket}/o?{urllib.parse.urlencode(query)}"
        status, headers, answer = self.ask("POST", path, body, {"Content-Type": "application/octet-stream"})
        if status != 200:
            return status, {}, answer
        object = json.loads(answer)
        return 200, {"etag": object["etag"], "x-goog-generation": str(object["generation"])}, b""

    def handle_request(self):
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        bucket, _, name = address.path.lstrip("/").partition("/")
        name = urllib.parse.unquote(name)
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        written = not address.path.startswith("/storage/") and name
        if written and self.command == "POST" and "uploads" in query:
            with LOCK:
                upload = f"upload-{next(NUMBERS)}"
                UPLOADS[upload] = {}
            text = f"<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>x</Key><UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            return self.tell(200, {"content-type": "application/xml"}, text.encode())
        if written and self.command == "PUT" and "uploadId" in query:
            with LOCK:
                UPLOADS[query["uploadId"]][int(query["partNumber"])] = body
            return self.tell(200, {"etag": f'"part-{query["partNumber"]}"'})
        if written and self.command == "POST" and "uploadId" in query:
            with LOCK:
                parts = UPLOADS.pop(query["uploadId"])
            whole = b"".join(parts[number] for number in sorted(parts))
            status, headers, answer = self.upload(bucket, name, whole)
            text = f"<CompleteMultipartUploadResult><ETag>{headers.get('etag', '')}</ETag></CompleteMultipartUploadResult>"
            return self.tell(status, headers, text.encode() if status == 200 else answer)
        if written and self.command == "DELETE" and "uploadId" in query:
            with LOCK:
                UPLOADS.pop(query["uploadId"], None)
            return self.tell(204)
        if written and self.command == "PUT":
            return self.tell(*self.upload(bucket, name, body))
        kept = {name: self.headers[name] for name in ("Range", "Content-Type") if self.headers.get(name)}
        self.tell(*self.ask(self.command, self.path, body or None, kept))

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


public = f"127.0.0.1:{HERE}"
server = subprocess.Popen(
    [sys.argv[2], "-scheme", "http", "-host", "127.0.0.1", "-port", str(THERE), "-backend", "memory", "-public-host", public,
     "-log-level", "error"])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
try:
    while True:
        try:
            socket.create_connection(("127.0.0.1", THERE), 1).close()
            break
        except OSError:
            if server.poll() is not None:
                sys.exit("fake-gcs-server ended")
    Server(("127.0.0.1", HERE), Front).serve_forever()
finally:
    server.terminate()
