// Bad requests, made from openapi.json: for each operation, one thing wrong at a time in a request that is otherwise good.
// Values stand as their bytes, since what JSON.stringify can say is not what clients can send.

const deep = (n) => `${'['.repeat(n)}${']'.repeat(n)}`;
const long = 'x'.repeat(70000);

/** What may stand for a member of a JSON body. */
const VALUES = [
  'null', 'true', '0', '-1', '1.5', '-0', '1e999', '-1e999', '18446744073709551616', '9223372036854775808', `${'9'.repeat(400)}`, '""', '" "', '"x"', `"${long}"`,
  '"a\\u0000b"', '"\\ud800"', '"\\udc00\\ud800"', Buffer.from('"\xff\xfe"', 'latin1'), Buffer.from('"\xed\xa0\x80"', 'latin1'), Buffer.from('"\xc0\x80"', 'latin1'), '"\\u202e\\u2028"',
  '[]', '[null]', '[[]]', '{}', '{"a":1}', '{"":""}', '["x","x"]', deep(60), deep(5000), `[${'0,'.repeat(5000)}0]`,
  '"\'; drop table users;--"', '"00000000-0000-7000-8000-000000000000\' or 1=1--"', '"%s%n%x"', '"http://[::1"', '"javascript:alert(1)"', '"a@b@c"', '"\\r\\nX-Injected: 1"',
];

/** Whole bodies that are nothing, no JSON, or no object. */
const BODIES = [
  '', ' ', '{', '}', '[]', 'null', 'true', '1', '"x"', '{"a":1,}', '{a:1}', "{'a':1}", '{"a":1}{"b":2}', '{"a":NaN}', '\ufeff{}', '{"a"}', '{"a":}', '{"a":01}', '"', '\0', deep(64), deep(65), deep(5000), '{"a":'.repeat(2000),
  Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), Buffer.from('{}', 'utf16le'), '{"__proto__":{"x":1},"constructor":1}', `{${Array.from({ length: 3000 }, (_, i) => `"k${i}":${i}`).join()}}`,
];

/** What may stand in a path or a query, escaped already. */
const TEXTS = [
  'x', '-1', '0', '1e999', '99999999999999999999', '-9223372036854775809', '0x10', '1.5', 'NaN', 'null', 'true', '[]', '%00', 'a%00b', '%ff', '%ED%A0%80', '%', '%zz', '%27%20or%201=1--', '..%2f..%2fetc%2fpasswd',
  '%F0%9F%8E%89', '00000000-0000-7000-8000-000000000000', '00000000-0000-7000-8000-00000000000G', 'x'.repeat(3000), '%0d%0aX-Injected:%201', '+', '%2B', '%25n',
];

/** What may stand in a header line; Node writes it as latin1. */
const LINES = ['', 'x', ',,,', '"', '=;=;', 'x'.repeat(6000), '\xff\xfe', '\xc3\x28', '-1', '99999999999999999999', 'null', '0198c0de-0000-7000-8000-000000000000:99999999999999999999', '0198c0de-0000-7000-8000-000000000000:-1', ':', 'Bearer', 'Bearer ', 'Bearer a.b.c', 'eck_', '*/*;q=x', 'a=b; a=b; =; ;'];
const HEADERS = ['Authorization', 'X-API-Key', 'Cookie', 'Accept', 'Accept-Encoding', 'Origin', 'Referer', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Request-Id', 'If-None-Match', 'Range', 'Access-Control-Request-Method'];

/** [Content-Type, what more]: of a body that is good but for what its head says. */
const MEDIA = [
  ['text/plain'], ['application/xml'], ['application/json; charset=utf-16'], ['application/json;;;='], ['APPLICATION/JSON'], ['multipart/form-data'], ['multipart/form-data; boundary='],
  [`multipart/form-data; boundary=${'b'.repeat(500)}`], ['application/x-www-form-urlencoded'], [''], ['/'], ['\xff'],
  ...['gzip', 'br', 'deflate', 'identity', 'gzip, gzip', '\xff'].map((coding) => [null, { 'Content-Encoding': coding }]),
];

const FORMS = ['', '&', '=', '%', 'username=%ff&password=%00', 'username[]=x', 'username=a&username=b&password=x', `username=${long}`, '&'.repeat(5000), 'username=%zz&password=%u1234'];

const part = (head, data = 'x') => `--b\r\n${head}\r\n\r\n${data}\r\n`;
const file = 'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/png';
const END = '--b--\r\n';
const PARTS = [
  '', '--b', '--b--', '--b\r\n', `${part(file)}`, `${part(file)}--b`, `${part(file)}--c--\r\n`, `--b\r\n${file}\r\n`, part('') + END, part('Content-Disposition: form-data') + END, part('Content-Disposition: attachment; filename="x"') + END,
  part('Content-Disposition: form-data; name="file') + END, part('Content-Disposition: form-data; name="\0"; filename="\xff"') + END, part(file, '') + END, part(file) + part(file) + END, part(`${file}\r\nX: ${long}`) + END,
  part(`${file}\r\nContent-Transfer-Encoding: base64`) + END, part(file.replace('a.png', '../../etc/passwd')) + END, part(file.replace('a.png', 'x'.repeat(5000))) + END, part('Content-Disposition: form-data; name="x"').repeat(2000) + END,
  `${part(file, '\x89PNG\r\n\x1a\n')}${END}`, part(file, '<svg onload="alert(1)"/>') + END, part(file, '%PDF-1.7\n\xff\xff') + END, `\r\n\r\n${END}`, `--b\n${file}\n\nx\n--b--\n`,
].map((text) => Buffer.from(text, 'latin1'));

/** An example of a schema, and the members that its objects may have. */
class Examples {
  constructor(document) {
    this.document = document;
  }
  resolve(schema) {
    if (schema.$ref) return this.resolve(schema.$ref.slice(2).split('/').reduce((at, name) => at[name], this.document));
    const choice = schema.oneOf ?? schema.anyOf;
    if (choice) return { ...this.resolve(choice[0]), ...schema };
    if (schema.allOf) return schema.allOf.map((one) => this.resolve(one)).reduce((all, one) => ({ ...all, ...one, properties: { ...all.properties, ...one.properties } }));
    return schema;
  }
  of(schema, known, name = '') {
    const plain = this.resolve(schema);
    if (name in known) return known[name];
    if (plain.enum) return plain.enum[0];
    const type = [plain.type].flat()[0];
    if (type === 'object') return Object.fromEntries((plain.required ?? []).map((member) => [member, this.of(plain.properties[member], known, member)]));
    if (type === 'array') return plain.minItems ? [this.of(plain.items ?? {}, known)] : [];
    if (type === 'integer' || type === 'number') return plain.minimum ?? 1;
    if (type === 'boolean') return true;
    if (plain.format === 'email') return 'someone@aerie.test';
    if (plain.format === 'uuid') return '00000000-0000-7000-8000-000000000000';
    return 'x'.repeat(Math.max(plain.minLength ?? 0, 8));
  }
  members(schema) {
    return Object.keys(this.resolve(schema).properties ?? {});
  }
}

const join = (...pieces) => Buffer.concat(pieces.map((piece) => Buffer.from(piece)));

function* jsonBodies(examples, schema, known) {
  const good = examples.of(schema, known);
  const type = { 'Content-Type': 'application/json' };
  for (const member of [...examples.members(schema), 'no_such_member']) {
    const rest = Object.entries(good).filter(([name]) => name !== member).map(([name, value]) => `,${JSON.stringify(name)}:${JSON.stringify(value)}`).join('');
    for (const value of VALUES) yield { what: `${member} = ${value.toString().slice(0, 40)}`, body: join(`{"${member}":`, value, rest, '}'), headers: type };
    yield { what: `${member} twice`, body: join(`{"${member}":${JSON.stringify(good[member] ?? null)},"${member}":[]${rest}}`), headers: type };
  }
  for (const body of BODIES) yield { what: `the body ${body.toString().slice(0, 40)}`, body: join(body), headers: type };
  for (const [media, more] of MEDIA) yield { what: `media ${media ?? JSON.stringify(more)}`, body: join(JSON.stringify(good)), headers: media === null ? { ...type, ...more } : { 'Content-Type': media } };
}

function* bodies(examples, content, known) {
  for (const [type, { schema }] of Object.entries(content)) {
    if (type === 'application/json') yield* jsonBodies(examples, schema, known);
    else if (type === 'multipart/form-data') for (const body of PARTS) yield { what: `parts ${body.toString('latin1').slice(0, 60)}`, body, headers: { 'Content-Type': 'multipart/form-data; boundary=b' } };
    else for (const body of FORMS) yield { what: `the form ${body.slice(0, 40)}`, body: join(body), headers: { 'Content-Type': type } };
  }
}

/** The bad requests of one operation: {what, path, body?, headers}. ids: good values for its path; known: good values of members. */
export function* badRequests(document, template, method, ids, known) {
  const operation = document.paths[template][method];
  const examples = new Examples(document);
  const parameters = (operation.parameters ?? []).map((parameter) => examples.resolve(parameter));
  const named = (place) => parameters.filter((parameter) => parameter.in === place).map((parameter) => parameter.name);
  const path = template.replace(/\{(\w+)\}/g, (_, name) => ids[name]);
  const content = operation.requestBody?.content;
  const json = content?.['application/json'];
  const good = json ? { body: join(JSON.stringify(examples.of(json.schema, known))), headers: { 'Content-Type': 'application/json' } } : { headers: {} };

  for (const [, name] of template.matchAll(/\{(\w+)\}/g))
    for (const text of TEXTS) yield { ...good, what: `${name} = ${text.slice(0, 40)}`, path: template.replace(`{${name}}`, () => text).replace(/\{(\w+)\}/g, (_, other) => ids[other]) };
  for (const name of [...named('query'), 'no_such_parameter'])
    for (const text of [...TEXTS, `1&${name}=2`, `&${name}`, '=&=']) yield { ...good, what: `?${name}=${text.slice(0, 40)}`, path: `${path}?${name}=${text}` };
  for (const name of [...named('header'), ...HEADERS])
    for (const line of LINES) yield { ...good, what: `${name}: ${line.slice(0, 40)}`, path, headers: { ...good.headers, [name]: line } };
  if (content) for (const bad of bodies(examples, content, known)) yield { path, ...bad };
  else yield { what: 'a body where none belongs', path, body: join('{}'), headers: { 'Content-Type': 'application/json' } };
}
