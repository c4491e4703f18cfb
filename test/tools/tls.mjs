// TLS in tests: certificates, and which ports of servers under test speak it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';

/** A certificate that is its own authority: {cert, key, path, keyPath}. */
export function makeCertificate(folder, name = 'mail', { names = 'DNS:localhost,IP:127.0.0.1', days = 2 } = {}) {
  const keyPath = join(folder, `${name}.key`);
  const path = join(folder, `${name}.pem`);
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', String(days),
    '-subj', `/CN=${name}`, '-addext', `subjectAltName=${names}`, '-keyout', keyPath, '-out', path], { stdio: 'ignore' });
  return { cert: readFileSync(path), key: readFileSync(keyPath), path, keyPath };
}

const certificates = new Map(); // port: that of the server there

export const holdToTls = (port, cert) => certificates.set(port, cert);
export const releaseFromTls = (port) => certificates.delete(port);

/** For clients: {ca, …} where the port speaks TLS, else null. */
export const trustFor = (port) => (certificates.has(port) ? { ca: certificates.get(port) } : null);

/** http.request() and net.connect() in what the port speaks. The latter's callback is called when bytes may be sent. */
export function requestTo(options) {
  const trust = trustFor(options.port);
  return trust ? https.request({ ...options, ...trust }) : http.request(options);
}
export function connectTo(options, onReady) {
  const trust = trustFor(options.port);
  return trust ? tls.connect({ ...options, ...trust }, onReady) : net.connect(options, onReady);
}
