"""A small HTTP server on this machine that can misbehave the way servers and networks do; it notes every request."""
import http.server
import threading
import time


class Page:
    """What one path answers. Each way of misbehaving is used up in order: `cuts=[10]` cuts the first GET only."""

    def __init__(self, content=b"", ranges=True, cuts=(), stalls=(), statuses=(), etag=None, modified=None, redirect=None,
                 headers=None, head_status=None):
        self.content, self.ranges, self.etag, self.modified, self.redirect = content, ranges, etag, modified, redirect
        self.cuts = list(cuts)          # bodies end after so many bytes, the connection with them
        self.stalls = list(stalls)      # nothing more comes after so many bytes, but the connection stays
        self.statuses = list(statuses)  # of the next GETs
        self.headers = headers or {}
        self.head_status = head_status


class DataServer:
    def __init__(self, pages):
        self.pages = pages
        self.requests = []  # (method, path, Range or None)
        self.stopping = threading.Event()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self):
                server.answer(self)

            def do_GET(self):
                server.answer(self)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # clients that hang up are the point here
        self.thread = threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.http.server_address[1]}{path}"

    def close(self):
        self.stopping.set()
        self.http.shutdown()
        self.http.server_close()

    def gets(self, path=None):
        """(path, Range) of the GETs so far."""
        return [(p, r) for method, p, r in list(self.requests) if method == "GET" and path in (None, p)]

    def answer(self, request):
        self.requests.append((request.command, request.path, request.headers.get("Range")))
        page = self.pages.get(request.path)
        is_get = request.command == "GET"
        if page is None:
            return self.reply(request, 404, {}, b"no such page")
        if page.redirect:
            return self.reply(request, 302, {"Location": page.redirect, **page.headers}, b"")
        if is_get and page.statuses:
            return self.reply(request, page.statuses.pop(0), {}, b"busy")
        if not is_get and page.head_status:
            return self.reply(request, page.head_status, {}, b"")
        headers = dict(page.headers)
        if page.etag:
            headers["ETag"] = page.etag
        if page.modified:
            headers["Last-Modified"] = page.modified
        self.reply_content(request, page, headers)

    def reply_content(self, request, page, headers):
        status, begin, total = 200, 0, len(page.content)
        asked = request.headers.get("Range")
        condition = request.headers.get("If-Range")
        if asked and page.ranges and condition in (None, page.etag, page.modified):
            begin = int(asked.removeprefix("bytes=").rstrip("-"))
            if begin >= total:
                return self.reply(request, 416, {"Content-Range": f"bytes */{total}"}, b"")
            status = 206
            headers["Content-Range"] = f"bytes {begin}-{total - 1}/{total}"
        self.reply(request, status, headers, page.content[begin:], page)

    def reply(self, request, status, headers, body, page=None):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "HEAD":
            return
        limit = None
        for list_, stalls in ((page.cuts, False), (page.stalls, True)) if page else ():
            if list_:
                limit, stays = list_.pop(0), stalls
                break
        try:
            request.wfile.write(body if limit is None else body[:limit])
            request.wfile.flush()
        except OSError:
            return  # the client has gone
        if limit is not None:
            while stays and not self.stopping.is_set():
                time.sleep(0.02)
            request.close_connection = True
