// A real SMTP server (nodemailer's smtp-server) that keeps what it is sent, and misbehaves when it is told to.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import { makeCertificate } from '../tools/tls.mjs';

export const USER = 'mailer@aerie.test';
export const SECRET = 'app password';

/** A server with a certificate of its own in the folder: {mail, env}, env being what Aerie needs to send its mail there. */
export async function startMail(folder) {
  const { cert, key, path } = makeCertificate(folder);
  const mail = await MailServer.start({ cert, key });
  const env = { EMAIL__URL: `smtp://localhost:${mail.port}`, EMAIL__USER: USER, EMAIL__PASSWORD: SECRET, EMAIL__FROM: 'noreply@aerie.test', EMAIL__CA_FILE: path };
  return { mail, env };
}

const refusal = (code, text) => Object.assign(new Error(text), { responseCode: code });

/**
 * options: smtp-server's. Behaviour, each a function that may return [code, text] to refuse, or wait: onSender, onRecipient,
 * onText(bytes so far). The mails are in .mails as {from, to, raw, text, subject, …, session}.
 */
export class MailServer {
  mails = [];
  tries = 0; // sessions that named a recipient
  onRecipient = () => null;
  onText = () => null;

  static async start(options = {}) {
    const server = new MailServer();
    server.smtp = new SMTPServer({
      authMethods: ['PLAIN', 'LOGIN'],
      logger: false,
      closeTimeout: 500,
      onAuth: (auth, session, done) => {
        if (auth.username === USER && auth.password === SECRET) done(null, { user: USER });
        else done(refusal(535, 'no'));
      },
      onRcptTo: (address, session, done) => {
        server.tries++;
        const refused = server.onRecipient(address.address, session);
        done(refused ? refusal(...refused) : undefined);
      },
      onData: (stream, session, done) => server.#take(stream, session, done),
      ...options,
    });
    server.smtp.on('error', () => {}); // a client that goes away in the middle
    await new Promise((resolve) => server.smtp.listen(0, '127.0.0.1', resolve));
    server.port = server.smtp.server.address().port;
    return server;
  }

  async #take(stream, session, done) {
    const parts = [];
    for await (const part of stream) parts.push(part);
    const raw = Buffer.concat(parts);
    const refused = await this.onText(raw, session);
    if (refused) {
      done(refusal(...refused));
      return;
    }
    const mail = await simpleParser(raw);
    this.mails.push({
      raw: raw.toString(), text: mail.text, subject: mail.subject, from: mail.from.value[0], to: mail.to.value[0], headers: mail.headers,
      messageId: mail.messageId, date: mail.date, envelope: session.envelope, isSecure: session.secure, user: session.user,
    });
    done();
  }

  /** Waits for n mails to that address in all, and hands back the last. */
  async mailTo(address, n = 1, timeout = 20000) {
    const deadline = Date.now() + timeout;
    for (;;) {
      const found = this.mails.filter((mail) => mail.to.address === address);
      if (found.length >= n) return found[n - 1];
      if (Date.now() > deadline) throw new Error(`mail ${n} to ${address} did not come; ${this.mails.length} mails, ${this.tries} tries`);
      await sleep(20);
    }
  }

  close() {
    return new Promise((resolve) => this.smtp.close(resolve));
  }
}

/** The tokens of a mail's links, in order: {kind, token}. */
export function linksOf(mail) {
  return [...mail.text.matchAll(/(\S+)\/account\/(reset|verify)#token=([\w-]+)/g)].map(([, base, kind, token]) => ({ base, kind, token }));
}

/** A server that speaks by hand: run(line, socket) is called for each line of the client. */
export async function startScript(greet, run) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    let rest = '';
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (bytes) => {
      const lines = (rest + bytes).split('\r\n');
      rest = lines.pop();
      for (const line of lines) run(line, socket);
    });
    if (greet) socket.write(greet);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: server.address().port,
    close: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(resolve);
    }),
  };
}
