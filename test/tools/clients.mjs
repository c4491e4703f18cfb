// Makes docs/api.http and docs/postman/ from openapi.json: one call per operation, in an order that runs from top to bottom.
const METHODS = ['get', 'post', 'put', 'patch', 'delete'];
const TIDY = 'Tidying up';
const PICTURE = 'dot.png';
/** Whose ids a path holds, where its words do not say it. */
const KIND_OF = { '/v1/models/{id}': ['agent_id'], '/chatbots/{id}/api-keys/{key_id}': ['chatbot_id', 'chatbot_key_id'] };
/** Members of bodies that go by other names than what they are. */
const OTHER_NAMES = { chatbot_id: 'agent_id', assistant_id: 'agent_id', visitor: 'visitor_session_id' };
/** What a call leaves for later ones, beside the id of what it made. */
const SAVED = {
  'POST /api/auth/login': { access_token: 'access_token' },
  'POST /api/auth/register': { user_id: 'id' },
  'GET /api/team': { tenant_id: 'id' },
  'POST /api/agents/{id}/api-keys': { api_key: 'api_key' },
  'POST /api/chat/session': { session_id: 'session_id' },
  'PUT /api/budgets': { budget_id: 'id' },
  'POST /api/webhooks/{id}/test': { delivery_id: 'delivery_id' },
  'POST /api/chat/widget/session': { visitor_session_id: 'session_id', visitor_token: 'visitor_token' },
};

/** What a member or a parameter of a call is called among the variables. */
function nameOf(path, key) {
  if (key === 'model' && path.startsWith('/v1/')) return 'agent_id';
  if (key === 'session_id' && path.startsWith('/api/chat/widget')) return 'visitor_session_id';
  return OTHER_NAMES[key] ?? key;
}

const idName = (word) => `${word.replaceAll('-', '_').replace(/s$/, '')}_id`;

/** `/api/agents/{id}/api-keys/{key_id}`: [agent_id, key_id] */
function variablesOf(path) {
  if (path in KIND_OF) return KIND_OF[path];
  const words = path.split('/');
  return words.flatMap((word, i) => (word.startsWith('{') ? [word === '{id}' ? idName(words[i - 1]) : word.slice(1, -1)] : []));
}

/** The document's operations as plain calls, in the order to run them; without WebSockets, which are no calls. */
function callsOf(document) {
  const all = Object.entries(document.paths).flatMap(([path, item]) => METHODS.filter((method) => item[method] && !item[method].responses['101']).map((method) => {
    const operation = item[method];
    const name = `${method.toUpperCase()} ${path}`;
    const item_ = Object.keys(document.paths).find((other) => other.startsWith(`${path}/{`) && !other.slice(path.length + 2).includes('/'));
    const saves = { ...(method === 'post' && item_ ? { [variablesOf(item_).at(-1)]: 'id' } : {}), ...SAVED[name] };
    const isLast = method === 'delete' || /\/(erase|logout)$/.test(path);
    return { path, method: method.toUpperCase(), operation, saves, variables: variablesOf(path), folder: isLast ? TIDY : operation.tags[0], id: path === '/api/auth/login' ? 'login' : operation.operationId };
  }));
  const folders = [...document.tags.map(({ name }) => name), TIDY];
  const rank = ({ folder, path }) => [folders.indexOf(folder), folder === TIDY ? -path.length : path.endsWith('/session') ? 0 : path.includes('{delivery_id}') ? 2 : 1];
  const sorted = all.map((call, i) => ({ call, key: [...rank(call), i] })).sort((a, b) => a.key.reduce((order, part, i) => order || part - b.key[i], 0)).map(({ call }) => call);
  // The login comes first, and ends last.
  const of = (end) => sorted.filter(({ path }) => path.endsWith(end));
  return [...of('/login'), ...sorted.filter((call) => ![...of('/login'), ...of('/logout')].includes(call)), ...of('/logout')];
}

function bodyOf({ operation }) {
  const content = operation.requestBody?.content ?? {};
  if (content['application/json']) return { kind: 'json', example: content['application/json'].example ?? {} };
  return { kind: content['multipart/form-data'] ? 'upload' : 'none' };
}

/** The example with what only a run can know left to variables. */
function fill(call, example, known) {
  if (call.id === 'login') return { email: '{{email}}', password: '{{password}}' };
  if (Array.isArray(example) || example === null || typeof example !== 'object') return example;
  return Object.fromEntries(Object.entries(example).map(([key, value]) => {
    const name = nameOf(call.path, key);
    return [key, typeof value === 'string' && known.has(name) ? `{{${name}}}` : fill(call, value, known)];
  }));
}

const knownOf = (calls) => new Set(calls.flatMap(({ saves }) => Object.keys(saves)));
/** The token that a call is sent with: the user's, where it is good. */
const tokenOf = ({ operation }) => {
  const schemes = operation.security.flatMap((scheme) => Object.keys(scheme));
  return schemes.includes('access_token') ? 'access_token' : schemes[0] ?? null;
};
const streams = ({ operation }) => Object.values(operation.responses).some(({ content }) => content?.['text/event-stream']);
/** Where the description has an example of a parameter, that; else a variable. */
const urlOf = ({ path, variables, operation }) => {
  let i = 0;
  const query = operation.parameters.filter((one) => one.in === 'query' && one.required).map(({ name }) => `${name}={{${nameOf(path, name)}}}`);
  const start = path.replace(/\{([^}]*)\}/g, (whole, name) => {
    const variable = variables[i++];
    return operation.parameters.find((one) => one.in === 'path' && one.name === name).example ?? `{{${variable}}}`;
  });
  return [start, ...query].join('?');
};

/** docs/api.http, in the words of VS Code's REST Client: {{name.response.body.member}} is what the call of that name answered. */
export function httpFile(document) {
  const calls = callsOf(document);
  const known = knownOf(calls);
  const sources = {};
  const resolve = (text) => text.replace(/\{\{(\w+)\}\}/g, (whole, name) => (sources[name] ? `{{${sources[name]}}}` : whole));
  let folder;
  const blocks = calls.map((call) => {
    const body = bodyOf(call);
    const token = tokenOf(call);
    const lines = [];
    if (call.folder !== folder) lines.push(`# ---- ${(folder = call.folder)} ----`, '');
    lines.push(`### ${call.operation.summary}`, `# @name ${call.id}`, `${call.method} {{baseUrl}}${urlOf(call)}`);
    if (token) lines.push(`Authorization: Bearer {{${token}}}`);
    if (streams(call)) lines.push('Accept: text/event-stream');
    if (body.kind === 'json') lines.push('Content-Type: application/json', '', JSON.stringify(fill(call, body.example, known), null, 2));
    if (body.kind === 'upload')
      lines.push('Content-Type: multipart/form-data; boundary=upload', '', '--upload', `Content-Disposition: form-data; name="file"; filename="${PICTURE}"`, 'Content-Type: image/png', '', `< ./postman/${PICTURE}`, '--upload--');
    const text = resolve(lines.join('\n'));
    for (const [name, member] of Object.entries(call.saves)) sources[name] = `${call.id}.response.body.${member}`;
    return text;
  });
  return `# Every call of the API, for the REST Client of VS Code and editors that speak its language. Send "Log in" first, then from
# top to bottom what you like.
# Made from openapi.json by test/tools/clients.mjs.
@baseUrl = http://127.0.0.1:8000
@email = admin@example.com
@password = the one that etc/run printed

${blocks.join('\n\n')}
`;
}

function postmanUrl(call) {
  const [path, query] = urlOf(call).split('?');
  const pairs = query?.split('&').map((pair) => ({ key: pair.split('=')[0], value: pair.split('=')[1] }));
  return { raw: `{{base_url}}${urlOf(call)}`, host: ['{{base_url}}'], path: path.split('/').slice(1), ...(pairs && { query: pairs }) };
}

function postmanScript({ id, operation, saves }) {
  const good = Object.keys(operation.responses).filter((status) => status < 400).map(Number);
  const lines = ["pm.test('it went well', function () {", `    pm.expect(pm.response.code).to.be.oneOf(${JSON.stringify(good)});`, '});'];
  for (const [name, member] of Object.entries(saves)) {
    const scope = id === 'login' ? 'environment' : 'collectionVariables';
    lines.push(`pm.test('save ${name.replace('access_token', 'token')}', function () {`, '    var json = pm.response.json();', `    pm.${scope}.set('${name}', json.${member});`, '});');
  }
  return [{ listen: 'test', script: { type: 'text/javascript', exec: lines } }];
}

function postmanRequest(call, known) {
  const body = bodyOf(call);
  const token = tokenOf(call);
  const request = { method: call.method, header: [], url: postmanUrl(call) };
  if (call.operation.description) request.description = call.operation.description;
  if (token === null) request.auth = { type: 'noauth' };
  else if (token !== 'access_token') request.auth = { type: 'bearer', bearer: [{ key: 'token', value: `{{${token}}}`, type: 'string' }] };
  if (streams(call)) request.header.push({ key: 'Accept', value: 'text/event-stream' });
  if (body.kind === 'json') {
    request.header.push({ key: 'Content-Type', value: 'application/json' });
    request.body = { mode: 'raw', raw: JSON.stringify(fill(call, body.example, known), null, 2), options: { raw: { language: 'json' } } };
  } else if (body.kind === 'upload') {
    request.body = { mode: 'formdata', formdata: [{ key: 'file', type: 'file', src: PICTURE }] };
  }
  return { name: call.operation.summary, request, event: postmanScript(call), response: [] };
}

/** docs/postman/aerie.postman_collection.json */
export function postmanCollection(document) {
  const calls = callsOf(document);
  const known = knownOf(calls);
  const folders = new Map();
  for (const call of calls) {
    if (!folders.has(call.folder)) folders.set(call.folder, []);
    folders.get(call.folder).push(postmanRequest(call, known));
  }
  return {
    info: {
      name: document.info.title,
      description: 'Every call of the API, made from openapi.json. Log in first: that saves the token. A run from top to bottom tidies up behind itself.',
      schema: 'https://schema.getpostman.com/json/collection/v2.1.0/collection.json',
    },
    auth: { type: 'bearer', bearer: [{ key: 'token', value: '{{access_token}}', type: 'string' }] },
    item: [...folders].map(([name, item]) => ({ name, item })),
    variable: [...known].filter((name) => name !== 'access_token').map((key) => ({ key, value: '' })),
  };
}

/** docs/postman/aerie.postman_environment.json */
export function postmanEnvironment(document) {
  const values = { base_url: document.servers[0].url, access_token: '', email: 'admin@example.com', password: '' };
  return {
    name: document.info.title,
    values: Object.entries(values).map(([key, value]) => ({ key, value, type: ['access_token', 'password'].includes(key) ? 'secret' : 'default', enabled: true })),
    _postman_variable_scope: 'environment',
  };
}
