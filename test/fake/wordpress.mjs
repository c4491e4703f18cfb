// WordPress sites as the plugin makes them: each answers the call back of a registration in its own way.
import http from 'node:http';
import { unique } from '../tools/aerie.mjs';

export const VERIFY_PATH = '/wp-json/eaglechat-plugin/v1/verify';
/** What the plugin of every site here has made. */
export const TOKEN = 'a-token-of-the-plugin-0123456789';
export const json = (res, status, body, headers = {}) => res.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
/** What a plugin says that knows its token. */
export const verifies = (res, { token }) => json(res, 200, { success: token === TOKEN });

/** Sites at /<name>, each with its own way to answer; tells what it was asked. */
export class WordPress {
  calls = [];
  answers = new Map();

  static async start() {
    const wordpress = new WordPress();
    wordpress.server = http.createServer((req, res) => wordpress.answer(req, res));
    await new Promise((listening) => wordpress.server.listen(0, '127.0.0.1', listening));
    return wordpress;
  }

  stop() {
    this.server.close();
    this.server.closeAllConnections();
  }

  async answer(req, res) {
    const url = new URL(req.url, 'http://wordpress');
    const name = url.pathname.split('/')[1];
    let body = '';
    for await (const piece of req) body += piece;
    this.calls.push({ name, method: req.method, url: req.url, type: req.headers['content-type'], body: JSON.parse(body) });
    const nth = this.calls.filter((call) => call.name === name).length;
    this.answers.get(name)(res, { nth, url: req.url, token: JSON.parse(body).callback_token });
  }

  /** A new site: its address, and what it will say. */
  site(say) {
    const name = unique('site');
    this.answers.set(name, say);
    return { name, url: `http://127.0.0.1:${this.server.address().port}/${name}`, email: `${name}@wordpress.test`, calls: () => this.calls.filter((call) => call.name === name) };
  }
}
