#!/usr/bin/env python3
"""Opens the report's pages in headless Chromium, with the network cut, and checks what a reader would see.

    page.py FOLDER        every *.html in it; screenshots go to FOLDER/shots; exit 1 when something is wrong

On a phone and a desktop, light and dark: no error, no request, no sideways scroll, contrast AA, no label
that is cut or lies on another; hovering and the legend work; the plots are there without script; it prints.
Only the standard library: it speaks the DevTools protocol over Chromium's pipe.
"""
import base64
import json
import os
import select
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

DEADLINE_S = 120  # A test machine may be busy; nothing here is timed.

FLAGS = ("--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars "
         "--no-first-run --disable-background-networking --disable-component-update "
         "--remote-debugging-pipe").split() + ["--host-resolver-rules=MAP * ~NOTFOUND"]

# Run in the page. Each returns a list of complaints.
# Not `innerWidth`: a phone's grows with a page that is too wide, because it zooms out.
WIDTH = """((width) => {
  document.querySelectorAll('details').forEach((d) => { d.open = true; });
  const root = document.documentElement;
  const found = innerWidth === width ? [] : [`the window became ${innerWidth} wide, not ${width}`];
  return root.scrollWidth <= width ? found : [...found, `page is ${root.scrollWidth} wide in ${width}`];
})(%d)"""

PAPER_WIDTH = 703  # A4 without the page's margins, in CSS pixels.

CONTRAST = """(() => {
  const parse = (c) => { const p = c.match(/[\\d.]+/g).map(Number); return p.length < 4 ? [...p, 1] : p; };
  const light = ([r, g, b]) => {
    const part = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color[3] > 0) return color;
    }
    return [255, 255, 255, 1];
  };
  const found = new Set();
  const judge = (node, color, least) => {
    const is = ratio(parse(color), behind(node));
    const name = `${node.tagName}.${node.getAttribute('class')}`;
    if (is < least) found.add(`contrast ${is.toFixed(2)} below ${least} at ${name}`);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest('script,style')) continue;
    const style = getComputedStyle(node);
    judge(node, node.closest('svg') ? style.fill : style.color, 4.5);
  }
  for (const path of document.querySelectorAll('path.line, path.whisker')) judge(path, getComputedStyle(path).stroke, 3);
  for (const bar of document.querySelectorAll('rect.fill')) judge(bar, getComputedStyle(bar).fill, 3);
  return [...found];
})()"""

LABELS = """(() => {
  const found = [];
  const name = (text) => `"${text.textContent}" in "${text.closest('figure').querySelector('b').textContent}"`;
  for (const svg of document.querySelectorAll('figure > svg')) {
    const [, , width, height] = svg.getAttribute('viewBox').split(' ').map(Number);
    const boxes = [...svg.querySelectorAll('text')].filter((t) => t.textContent).map((text) => ({ text, box: text.getBBox() }));
    for (const { text, box } of boxes) {
      if (box.x < -0.5 || box.y < -0.5 || box.x + box.width > width + 0.5 || box.y + box.height > height + 0.5)
        found.push(`cut: ${name(text)}`);
    }
    const marks = [...svg.querySelectorAll('.tick.end')].map((text) => text.textContent).filter(Boolean);
    if (new Set(marks).size < marks.length) found.push(`the same mark twice: ${marks}`);
    boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => {
      const across = Math.min(a.box.x + a.box.width, b.box.x + b.box.width) - Math.max(a.box.x, b.box.x);
      const down = Math.min(a.box.y + a.box.height, b.box.y + b.box.height) - Math.max(a.box.y, b.box.y);
      if (across > 0.5 && down > 2) found.push(`overlap: ${name(a.text)} and "${b.text.textContent}"`);
    }));
  }
  return found.slice(0, 8);
})()"""

LEGEND = """(() => {
  const box = document.querySelector('.legend .t0');
  if (!box) return [];
  const path = box.closest('figure').querySelector('figure > svg .s0');
  box.click();
  const hidden = getComputedStyle(path).display;
  box.click();
  const shown = getComputedStyle(path).display;
  return hidden === 'none' && shown !== 'none' ? [] : [`legend: ${hidden}, then ${shown}`];
})()"""

OWNED = "document.title.includes('owned') && !document.title.includes('<script>') ? ['a reply ran as script'] : []"

TOUCHED = """(() => {
  const svg = document.querySelector('svg[data-box]');
  if (!svg) return null;
  svg.scrollIntoView({ block: 'center' });
  const box = svg.getBoundingClientRect();
  return [box.left + box.width * 0.6, box.top + box.height * 0.4];
})()"""

READOUT = "document.querySelector('svg[data-box]').parentNode.querySelector('.readout').textContent"


class Chromium:
    """One browser; calls and events over its pipe, messages end with a zero byte."""

    def __init__(self, profile):
        their_in, self.to = os.pipe()
        self.source, their_out = os.pipe()
        flags = shlex.join(FLAGS + [f"--user-data-dir={profile}"])
        command = f"exec chromium {flags} 3<&{their_in} 4>&{their_out}"
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=(their_in, their_out),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(their_in)
        os.close(their_out)
        self.last, self.rest, self.events, self.session = 0, b"", [], None

    def receive(self):
        until = time.monotonic() + DEADLINE_S
        while b"\0" not in self.rest:
            if not select.select([self.source], [], [], max(0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium did not answer")
            part = os.read(self.source, 1 << 20)
            if not part:
                raise EOFError("Chromium ended")
            self.rest += part
        message, self.rest = self.rest.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.last += 1
        message = {"id": self.last, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self.receive()
            if answer.get("id") == self.last:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.receive())

    def open_tab(self):
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")
        return target

    def close_tab(self, target):
        self.session = None
        self.call("Target.closeTarget", targetId=target)

    def view(self, width, height, scheme):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=2 if width < 600 else 1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def load(self, path):
        self.events.clear()
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait("Page.loadEventFired")

    def ask(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(json.dumps(answer["exceptionDetails"])[:400])
        return answer["result"].get("value")

    def shot(self, path, full=False):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self):
        self.process.kill()
        self.process.wait()


def errors(browser, path):
    """What the console, the script engine and the network have to complain about."""
    found = []
    for event in browser.events:
        method, params = event.get("method"), event.get("params", {})
        if method == "Runtime.exceptionThrown":
            found.append("exception: " + params["exceptionDetails"].get("text", ""))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            found.append(f"console: {params['args']}")
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            found.append("log: " + params["entry"]["text"])
        elif method == "Network.requestWillBeSent" and params["request"]["url"] != path.resolve().as_uri():
            found.append("request: " + params["request"]["url"])
    return found


def hover(browser):
    """The values below the first plot, or a complaint that there are none."""
    place = browser.ask(TOUCHED)
    if place is None:
        return []
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=place[0], y=place[1])
    text = browser.ask(READOUT)
    return [] if ":" in (text or "") else [f"hover shows {text!r}"]


def check_look(browser, path, width, height, scheme, shots):
    target = browser.open_tab()
    browser.view(width, height, scheme)
    browser.load(path)
    browser.shot(shots / f"{path.stem}-{width}-{scheme}.png")
    found = []
    for question in (WIDTH % width, CONTRAST, LABELS, LEGEND, OWNED):
        found += browser.ask(question) or []
    if not browser.ask(f"matchMedia('(prefers-color-scheme: {scheme})').matches"):
        found.append(f"not in {scheme} mode")
    found += hover(browser)
    found += errors(browser, path)
    browser.close_tab(target)
    return found


def check_print(browser, path):
    """A4 with the page's margins: nothing may be wider than the paper, and paper is light."""
    target = browser.open_tab()
    browser.call("Emulation.setDeviceMetricsOverride", width=PAPER_WIDTH, height=1030, deviceScaleFactor=1, mobile=False)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser.call("Emulation.setEmulatedMedia", media="print", features=dark)
    browser.load(path)
    found = browser.ask(WIDTH % PAPER_WIDTH) + browser.ask(CONTRAST)
    paper = browser.ask("getComputedStyle(document.documentElement).backgroundColor")
    if paper != "rgb(255, 255, 255)":
        found.append(f"printed on {paper}")
    browser.close_tab(target)
    return found


def check_without_script(browser, path):
    target = browser.open_tab()
    browser.view(360, 780, "light")
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.load(path)
    root = browser.call("DOM.getDocument")["root"]["nodeId"]
    paths = browser.call("DOM.querySelectorAll", nodeId=root, selector="figure > svg path.line, figure > svg rect.fill")["nodeIds"]
    drawn = bool(paths)
    try:
        if paths:
            browser.call("DOM.getBoxModel", nodeId=paths[0])
    except RuntimeError:  # It has no box: it is in the document but not to be seen.
        drawn = False
    browser.close_tab(target)
    is_empty = path.stem == "empty"
    return [] if drawn or is_empty else ["without script no plot is drawn"]


def main():
    folder = Path(sys.argv[1])
    shots = folder / "shots"
    shots.mkdir(exist_ok=True)
    pages = sorted(folder.glob("*.html"))
    if not pages:
        sys.exit(f"no page in {folder}")
    complaints = 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Chromium(profile)
        try:
            for path in pages:
                looks = [(w, h, s) for w, h in ((360, 780), (1280, 900)) for s in ("light", "dark")]
                results = [(f"{w}x{h} {s}", check_look(browser, path, w, h, s, shots)) for w, h, s in looks]
                results.append(("print", check_print(browser, path)))
                results.append(("no script", check_without_script(browser, path)))
                for what, found in results:
                    complaints += len(found)
                    for complaint in found:
                        print(f"{path.name}, {what}: {complaint}")
        finally:
            browser.close()
    print(f"{len(pages)} pages, {complaints} complaints; screenshots in {shots}")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
