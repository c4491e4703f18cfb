// Holds a server to its own openapi.json: each answer's status, type, headers and JSON must be as it says, and no member may
// come that it does not name. The clients of http.mjs ask here. Others do not: the openai package, EventSource and curl hand out no
// plain answer to look at, a WebSocket's frames are no response, and their tests say themselves what must come.
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const Ajv2020 = require('ajv/dist/2020.js').default;
const addFormats = require('ajv-formats').default;

/** What any request may meet before its route is asked, told under "default". */
const TRANSPORT = new Set([405, 408, 413, 414, 415, 431, 507]);

/** An object that lists its members has no others: that is our promise, not one that clients should count on. */
function close(value) {
  if (Array.isArray(value)) return value.map(close);
  if (value === null || typeof value !== 'object') return value;
  const closed = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, close(inner)]));
  if (value.type === 'object' && value.properties) closed.additionalProperties = false;
  return closed;
}

const pointer = (root, ...parts) => `${root}#/${parts.map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;

export class Contract {
  #validators = new Map();

  constructor(document) {
    this.document = document;
    this.ajv = new Ajv2020({ strict: false, validateSchema: false });
    addFormats(this.ajv);
    this.ajv.addSchema(close(document), 'api');
    this.ajv.addSchema(document, 'sent');
    this.templates = Object.keys(document.paths)
      .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/[.]/g, '\\.').replace(/\{[^}]*\}/g, '[^/]+')}$`), isLiteral: !path.includes('{') }))
      .sort((a, b) => b.isLiteral - a.isLiteral);
  }

  #validate(ref, value) {
    if (!this.#validators.has(ref)) this.#validators.set(ref, this.ajv.compile({ $ref: ref }));
    const validate = this.#validators.get(ref);
    return validate(value) ? null : `${this.ajv.errorsText(validate.errors.slice(0, 3), { dataVar: 'body' })}${validate.errors[0].params?.additionalProperty ? ` (${validate.errors[0].params.additionalProperty})` : ''}`;
  }

  /** Where the response is described: {response, at} or a sentence. */
  #find(method, path, status) {
    const template = this.templates.find(({ pattern }) => pattern.test(path))?.path;
    const operation = this.document.paths[template]?.[method.toLowerCase()];
    const failed = { response: this.document.components.responses.Failed, at: ['components', 'responses', 'Failed'] };
    if (!operation) return status >= 400 ? failed : 'it is not described';
    let response = operation.responses[status];
    let at = ['paths', template, method.toLowerCase(), 'responses', status];
    if (!response) return TRANSPORT.has(status) ? failed : `${template} does not list this status`;
    if (response.$ref) {
      at = response.$ref.slice(2).split('/');
      response = this.document.components.responses[at[2]];
    }
    return { response, at };
  }

  /** Why data may not be an event of a stream described there; null when it may. */
  #checkEvent(at, type, data) {
    if (data === '[DONE]') return null; // how OpenAI's protocol ends a stream
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      return `an event that is no JSON: ${data.slice(0, 200)}`;
    }
    const wrong = this.#validate(pointer('api', ...at, 'content', type, 'schema', 'contentSchema'), event);
    return wrong && `${wrong}: ${data.slice(0, 300)}`;
  }

  #checkBody(at, response, headers, text) {
    const type = (headers['content-type'] ?? '').split(';')[0];
    if (!response.content) return text ? 'it has a body' : null;
    if (!response.content[type]) return `the type ${type || '(none)'} is not among ${Object.keys(response.content)}`;
    if (text === undefined) return null;
    if (type === 'application/json') return this.#validate(pointer('api', ...at, 'content', type, 'schema'), JSON.parse(text));
    if (type !== 'text/event-stream') return null;
    for (const line of text.split('\n')) { // and no pattern's ^ and $, which take U+2028 for a line's end
      const wrong = line.startsWith('data: ') && this.#checkEvent(at, type, line.slice('data: '.length));
      if (wrong) return wrong;
    }
    return null;
  }

  /** Why a body that was taken should not have been; null when it is as described. */
  #checkSent(method, path, sent) {
    const template = this.templates.find(({ pattern }) => pattern.test(path))?.path;
    const body = this.document.paths[template]?.[method.toLowerCase()]?.requestBody;
    if (!body?.content['application/json']) return null;
    const wrong = this.#validate(pointer('sent', 'paths', template, method.toLowerCase(), 'requestBody', 'content', 'application/json', 'schema'), sent);
    return wrong && `it took ${JSON.stringify(sent).slice(0, 300)}, though ${wrong}`;
  }

  /** Throws when the answer is not as described. text: undefined when it is not known, or of no interest; sent: the JSON that was asked with, which a call that
   *  went well must allow, too. */
  check(method, target, { status, headers, text, sent }) {
    if (method === 'OPTIONS') return; // http's own
    const isHead = method === 'HEAD';
    const found = this.#find(isHead ? 'GET' : method, target.split('?')[0], status);
    const missing = Object.entries(found.response?.headers ?? {}).filter(([name, header]) => header.required && headers[name.toLowerCase()] === undefined);
    const wrong = typeof found === 'string' ? found
      : missing.length > 0 ? `the header ${missing[0][0]} is missing`
        : this.#checkBody(found.at, found.response, headers, isHead ? undefined : text)
          ?? (status < 300 && sent !== undefined ? this.#checkSent(method, target.split('?')[0], sent) : null);
    if (wrong) throw new Error(`${method} ${target} answered ${status} against openapi.json: ${wrong}: ${text?.slice(0, 300)}`);
  }

  /** For a stream that is read as it comes: a function that throws at an event that is not as described. */
  eventCheck(method, target) {
    const found = this.#find(method, target.split('?')[0], 200);
    return (data) => {
      const wrong = this.#checkEvent(found.at, 'text/event-stream', data);
      if (wrong) throw new Error(`an event of ${method} ${target} is against openapi.json: ${wrong}`);
    };
  }
}

const contracts = new Map();

/** From now on what the server on that port answers is held to this document. */
export function holdToContract(port, contract) {
  contracts.set(port, contract);
}
export function releaseFromContract(port, contract) {
  if (contracts.get(port) === contract) contracts.delete(port);
}
/** The contract of the server on that port; undefined: it has none. */
export const contractOf = (port) => contracts.get(port);
