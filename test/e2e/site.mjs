// Somebody's web site, on an origin of its own, that embeds the widget. A page is made of its address's query: see Site.page().
import { once } from 'node:events';
import { createServer } from 'node:http';

export class Site {
  pages = new Map();

  static async start() {
    const site = new Site();
    site.server = createServer((req, res) => {
      const page = site.pages.get(req.url);
      res.writeHead(page ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8', ...page?.headers });
      res.end(page?.html ?? '');
    }).listen(0, '127.0.0.1');
    await once(site.server, 'listening');
    site.origin = `http://127.0.0.1:${site.server.address().port}`;
    return site;
  }

  /** The address of a new page with this in its body. */
  page(body, { headers = {}, lang = 'en', head = '' } = {}) {
    const path = `/${this.pages.size}`;
    const html = `<!doctype html><html lang="${lang}"><head><meta name="viewport" content="width=device-width, initial-scale=1"><title>A shop</title>${head}</head><body><main><h1>Jackets</h1><p>Warm things for cold days.</p><a href="#top">A link</a></main>${body}</body></html>`;
    this.pages.set(path, { html, headers });
    return this.origin + path;
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
