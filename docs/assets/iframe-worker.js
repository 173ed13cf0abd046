/* A page opened from the disk may not start a worker, which the search wants. Here the worker's script runs in a
   hidden frame of the same page instead; messages go to and fro as they would. Nothing is loaded but that script. */
(function () {
  "use strict";
  if (location.protocol !== "file:") return;

  class FrameWorker extends EventTarget {
    constructor(url) {
      super();
      this.url = String(url);
      this.onmessage = null;
      this.onerror = null;
      const frame = document.createElement("iframe");
      frame.hidden = true;
      frame.title = "search";
      document.body.appendChild(frame);
      const inside = frame.contentWindow;
      const told = (event) => {
        if (event.source !== inside) return;
        const message = new MessageEvent("message", { data: event.data });
        this.dispatchEvent(message);
        if (this.onmessage) this.onmessage(message);
      };
      window.addEventListener("message", told);
      this.frame = frame;
      this.told = told;
      this.ready = new Promise((resolve) => {
        inside.document.open();
        inside.document.write("<!doctype html><html><head><title>search</title></head><body></body></html>");
        inside.document.close();
        inside.postMessage = (data) => window.dispatchEvent(new MessageEvent("message", { data, source: inside }));
        inside.importScripts = (...scripts) =>
          scripts.reduce((before, script) => before.then(() => load(inside, script)), Promise.resolve());
        resolve(load(inside, this.url));
      });
    }
    postMessage(data) {
      this.ready.then(() => {
        const inside = this.frame.contentWindow;
        inside.dispatchEvent(new inside.MessageEvent("message", { data }));
      });
    }
    terminate() {
      window.removeEventListener("message", this.told);
      this.frame.remove();
    }
  }

  function load(inside, url) {
    return new Promise((resolve, reject) => {
      const script = inside.document.createElement("script");
      script.src = new URL(url, document.baseURI).href;
      script.onload = resolve;
      script.onerror = reject;
      inside.document.body.appendChild(script);
    });
  }

  window.IFrameWorker = FrameWorker;
  window.Worker = FrameWorker;
})();
