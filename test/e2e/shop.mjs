// A team that could be real, for pictures: an outdoor shop with its agents, people, chats, and a month of use. Its today is TODAY.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export const TODAY = new Date('2026-03-20T10:24:00Z');
const DAY_MS = 86_400_000;
/** Where n8n listens by itself; pictures show the address. */
const N8N_PORT = 5678;

/** For the page at /, which shows replies as they are, and for widgets, which show their Markdown. */
export const talk = [
  ['Which jacket keeps me dry on a bike?', 'The Storm parka: it is cut longer at the back, and its seams are taped.\n\nThe Fjell jacket is lighter, and holds for an hour of rain.'],
  ['And if it does not fit?',
    'Send it back within 30 days:\n\n1. Print the label from your order page.\n2. Drop the parcel at any post office.\n3. The money is back two days after it reaches us.'],
];
export const widgetTalk = ['Do you ship to Norway, and how long does it take?',
  'Yes. Parcels to Norway leave **every weekday** and take three to five days.\n\nCustoms are included in the price you see, so nothing is due at the door.'];
export const arabicTalk = ['هل تشحنون إلى دبي؟', 'نعم، نشحن إلى دبي **كل يوم عمل**، ويصل الطرد خلال خمسة أيام.\n\n- الشحن مجاني فوق 100 يورو.\n- الإرجاع مجاني خلال 30 يومًا.'];
const earlier = [
  ['Which boots for wet ground?', 'The Fjell GTX: a waterproof lining, and a sole that holds on wet rock.'],
  ['Can I change my address?', 'Yes, until the parcel leaves: open the order and press Change address.'],
  ['Do you repair zippers?', 'We do, free in the first two years. Send the jacket with the repair form.'],
];
const answers = new Map([...talk, widgetTalk, arabicTalk, ...earlier]);
const people = [['Ingrid Solberg', 'admin'], ['Jonas Weber', 'user'], ['Amina Haddad', 'user'], ['Tom Fletcher', 'user']];
const documents = [
  ['Shipping and customs', 'Parcels leave every weekday before noon. Norway and Switzerland: three to five days, customs included. '],
  ['Returns within 30 days', 'Print the label from the order page and drop the parcel at any post office. The money is back two days later. '],
  ['Sizes of jackets and boots', 'Measure your chest under the arms. Between two sizes, take the larger one. '],
];

/** A webhook that streams as n8n does; /webhook/returns is a workflow that nobody activated. */
async function startWebhook() {
  const server = createServer(async (req, res) => {
    let body = '';
    for await (const part of req) body += part;
    if (req.url !== '/webhook/shop') {
      res.writeHead(404, { 'Content-Type': 'application/json' });
      res.end('{"code":404,"message":"The requested webhook \\"POST returns\\" is not registered.","hint":"The workflow must be active for a production URL to run successfully."}');
      return;
    }
    const asked = JSON.parse(body).chatInput;
    const answer = answers.get(asked) ?? 'Yes, I am here. Ask me about orders, shipping and returns.';
    res.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' });
    res.write('{"type":"begin","metadata":{}}\n');
    const pieces = answer.match(/\S*\s*/g);
    const isPictured = [talk.at(-1)[0], widgetTalk[0]].includes(asked); // its end is slow enough to be caught
    for (const [n, content] of pieces.entries()) {
      res.write(`${JSON.stringify({ type: 'item', content, metadata: {} })}\n`);
      await sleep(isPictured && n > pieces.length * 0.75 ? 1200 : 40);
    }
    res.end('{"type":"end","metadata":{}}\n');
  });
  const listen = (port) => new Promise((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve));
  await listen(N8N_PORT).catch(() => listen(0));
  return server;
}

/** The shop's web site, on an origin of its own. */
async function startSite() {
  const pages = new Map();
  const server = createServer((req, res) => {
    res.writeHead(pages.has(req.url) ? 200 : 404, { 'Content-Type': 'text/html; charset=utf-8' }).end(pages.get(req.url) ?? '');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, pages, origin: `http://127.0.0.1:${server.address().port}` };
}

const style = `body{margin:0;font:16px/1.5 Georgia,serif;background:#faf7f2;color:#2b2620}header,main{max-width:60rem;margin:auto;padding:1rem 1.5rem}
header{display:flex;gap:1.5rem;border-bottom:1px solid #ddd2c2}b{flex:1}ul{display:grid;grid-template-columns:repeat(auto-fit,minmax(12rem,1fr));gap:1rem;padding:0;list-style:none}
li{border:1px solid #ddd2c2;border-radius:6px;background:#fff;padding:1rem}li::before{content:"";display:block;height:6rem;margin-bottom:.7rem;border-radius:4px;background:linear-gradient(135deg,#8aa39b,#d8c3a5)}
@media(prefers-color-scheme:dark){body{background:#1d1a17;color:#efe8dd}li{background:#292420}li,header{border-color:#463e35}}`;
const words = {
  en: ['Nordwind Outdoor', 'Jackets', 'Boots', 'Warm things for cold days', ['Fjell jacket, €189', 'Storm parka, €249', 'Fjell GTX boots, €219', 'Wool socks, €19']],
  ar: ['نوردويند', 'سترات', 'أحذية', 'ملابس دافئة لأيام باردة', ['سترة فييل، 189 €', 'معطف ستورم، 249 €', 'حذاء فييل، 219 €', 'جوارب صوف، 19 €']],
};
const shopPage = (lang, script) => {
  const [name, one, two, title, goods] = words[lang];
  return `<!doctype html><html lang="${lang}" dir="${lang === 'ar' ? 'rtl' : 'ltr'}"><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${name}</title>
<style>${style}</style><header><b>${name}</b><span>${one}</span><span>${two}</span></header><main><h1>${title}</h1><ul>${goods.map((item) => `<li>${item}</li>`).join('')}</ul></main>${script}</html>`;
};

const widget = {
  title: 'Ask Nordwind', greeting: 'Hello! Ask me about **orders, shipping and returns**.', color: '#0b6b69',
  suggestions: [widgetTalk[0], earlier[0][0]], placeholder: 'Ask about your order',
};

async function must(promise) {
  const answer = await promise;
  if (answer.status >= 300) throw new Error(`${answer.status} ${answer.text}`);
  return answer.json;
}

/** Thirty days: fewer on weekends, more each week, one bad day of an agent. By SQL: days that were cannot be made by the API. */
function addUsage(aerie, agents) {
  const today = Math.floor(TODAY / DAY_MS) * DAY_MS;
  const rows = agents.flatMap(({ id }, k) => Array.from({ length: 30 }, (_, ago) => {
    const day = today - ago * DAY_MS;
    const isWeekend = [0, 6].includes(new Date(day).getUTCDay());
    const messages = Math.round(((30 - ago) * 1.3 + 40 + ((ago * 37 + k * 11) % 17)) * (isWeekend ? 0.45 : 1) / (k * 1.7 + 1));
    const errors = k === 1 && ago === 9 ? 14 : (ago * 7 + k) % 5 === 0 ? 1 : 0;
    const [prompt, reply] = [messages * 210, messages * 96];
    return `('${aerie.team.id}', ${day * 1000}, '${aerie.admin.me.id}', '${id}', 'n8n', '', ${messages}, ${prompt}, ${reply}, ${prompt + reply}, ${prompt + reply}, ${errors}, ${messages}, ${messages * (620 + ((ago * 53) % 240) + k * 180)})`;
  }));
  aerie.database.query('DELETE FROM usage_days');
  aerie.database.query(`INSERT INTO usage_days (team_id, day, owner_id, agent_id, provider, model, messages,
    prompt_tokens, completion_tokens, total_tokens, estimated_tokens, errors, first_tokens, first_token_ms) VALUES ${rows.join(', ')}`);
}

/** All that was made a moment ago was made in the weeks before TODAY. SQLite's times: microseconds. */
function setDates(aerie) {
  const at = (days) => (TODAY - days * DAY_MS) * 1000;
  const older = (table, column, days) => `UPDATE ${table} SET ${column} = ${at(days)} + 3600000000 * (SELECT count(*) FROM ${table} o WHERE o.id < ${table}.id)`;
  const statements = [
    `UPDATE teams SET created_at = ${at(42)}, updated_at = ${at(42)}`,
    older('users', 'created_at', 41), 'UPDATE users SET updated_at = created_at', older('users', 'last_login_at', 1),
    older('agents', 'created_at', 40), 'UPDATE agents SET updated_at = created_at',
    older('api_keys', 'created_at', 20), older('documents', 'created_at', 12), 'UPDATE documents SET updated_at = created_at',
    older('chats', 'created_at', 2), 'UPDATE chats SET updated_at = created_at',
    `UPDATE messages SET created_at = (SELECT c.created_at FROM chats c WHERE c.id = messages.chat_id) + seq * 4000000`,
  ];
  for (const statement of statements) aerie.database.query(statement);
}

/** What may be used this month and today, and what was: by SQL, as the month's use is. Leases of nobody stay. */
async function addBudgets(aerie, agent, key, jonas) {
  const { admin } = aerie;
  const now = new Date();
  const starts = { month: Date.UTC(now.getUTCFullYear(), now.getUTCMonth()), day: Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()) };
  for (const [budget, requests, tokens, micros, held] of [
    [{ scope: 'team', period: 'month', money_micros: 120_000_000, tokens: 4_000_000 }, 3120, 1_642_310, 41_870_000, 62_500],
    [{ scope: 'agent', subject_id: agent.id, period: 'day', money_micros: 5_000_000 }, 148, 45_288, 4_310_000, 0],
    [{ scope: 'key', subject_id: key.id, period: 'month', requests: 2000 }, 2000, 410_022, 0, 0],
    [{ scope: 'user', subject_id: jonas.id, period: 'day', tokens: 50_000 }, 12, 4210, 0, 781]]) {
    const { scope, subject_id: id, period } = await must(admin.put('/api/budgets', budget));
    aerie.database.query(`INSERT OR REPLACE INTO budget_spend (team_id, scope, subject_id, period, period_start, requests, tokens, money_micros, leased_requests, leased_tokens, leased_micros, was_cut)
      VALUES ('${aerie.team.id}', '${scope}', '${id}', '${period}', ${starts[period] * 1000}, ${requests}, ${tokens}, ${micros}, 0, ${held}, 0, 0)`);
  }
}

/** Two receivers, one of which answers with errors now and then. */
async function addWebhooks(aerie, agent) {
  const { admin } = aerie;
  const made = [];
  for (const [url, events] of [['https://hooks.nordwind.example/aerie', ['message.completed', 'chat.created', 'agent.failing', 'agent.recovered', 'budget.warning', 'budget.spent']], ['https://n8n.nordwind.example/webhook/budgets', ['budget.warning', 'budget.spent']]])
    made.push(await must(admin.post('/api/webhooks', { url, events })));
  const at = (minutes) => (TODAY - minutes * 60_000) * 1000;
  const ids = made[0].id.slice(0, -4);
  const rows = [['message.completed', 'delivered', 4], ['message.completed', 'delivered', 9], ['agent.failing', 'dead', 190], ['message.completed', 'dead', 214], ['chat.created', 'delivered', 388], ['budget.warning', 'delivered', 402]].map(([type, status, ago], i) => {
    const [tries, answer, error] = status === 'dead' ? [8, 500, "'The receiver answered with an error.'"] : [1, 204, 'NULL'];
    const id = `${ids}${String(i).padStart(4, '0')}`;
    return `('${id}', '${aerie.team.id}', '${made[0].id}', '${id}', '${type}', '{"agent_id":"${agent.id}"}', '${status}', ${tries}, ${at(ago)}, ${answer}, ${error}, ${at(ago)}, ${status === 'dead' ? 'NULL' : at(ago) + 180_000})`;
  });
  aerie.database.query(`INSERT INTO webhook_deliveries (id, team_id, webhook_id, event_id, type, payload, status, tries, next_at, last_status, last_error, created_at, delivered_at) VALUES ${rows.join(', ')}`);
  aerie.database.query(`UPDATE webhooks SET created_at = ${at(60 * 24 * 12)}, last_success_at = ${at(4)}, last_failure_at = ${at(188)}, last_failure = 'The receiver answered with an error.' WHERE id = '${made[0].id}'`);
  aerie.database.query(`UPDATE webhooks SET created_at = ${at(60 * 24 * 3)}, last_success_at = ${at(402)} WHERE id = '${made[1].id}'`);
  return made[0];
}

/** Fills the server's default team: {origin, agent, broken, webhook, setDates(), close()}. aerie: on SQLite, just made. */
export async function openShop(aerie) {
  const webhook = await startWebhook();
  const n8n = `http://127.0.0.1:${webhook.address().port}/webhook`;
  const { server, pages, origin } = await startSite();
  const { admin } = aerie;
  await must(admin.put('/api/auth/me', { full_name: 'Ada Lindqvist' }));
  const agent = await admin.agent({ name: 'Shop assistant', description: 'Ask about orders, shipping and returns', webhook_url: `${n8n}/shop`, webhook_token: 'Bearer of the shop', allowed_origins: [origin], config: { widget } });
  const broken = await admin.agent({ name: 'Returns desk', description: 'Labels, repairs and refunds', webhook_url: `${n8n}/returns` });
  await admin.agent({ name: 'Size advisor', description: 'Finds the size that fits', provider: 'echo' });
  const [echo] = (await admin.get('/api/agents')).json;
  await must(admin.delete(`/api/agents/${echo.id}`));
  await must(admin.put('/api/team', { name: 'Nordwind Outdoor', settings: { default_agent_id: agent.id } }));
  const made = new Map();
  for (const [name, role] of people)
    made.set(name, await must(admin.post('/api/users', { email: `${name.split(' ')[0].toLowerCase()}@nordwind.example`, password: 'a long password', full_name: name, role })));
  for (const [name, scopes] of [['Website', ['chat']], ['Nightly report', ['admin:read']], ['Warehouse', ['chat', 'documents']]])
    made.set(name, await must(admin.post(`/api/agents/${agent.id}/api-keys`, { name, scopes })));
  for (const [title, content] of documents) await must(admin.post('/api/v1/documents', { title, content: content.repeat(20) }));
  for (const [question] of [...earlier, widgetTalk]) await admin.ask(await admin.chat(agent, { title: question }), question);
  setDates(aerie);
  addUsage(aerie, [agent, broken]);
  await addBudgets(aerie, agent, made.get('Website'), made.get('Jonas Weber'));
  const told = await addWebhooks(aerie, agent);
  for (const [lang, more] of [['en', ''], ['ar', ' data-language="ar" data-title="اسأل نوردويند" data-greeting="أهلًا! اسألني عن **الطلبات والشحن**." data-placeholder="اكتب سؤالك" data-suggestions="[]"']])
    pages.set(`/${lang}`, shopPage(lang, `<script src="${aerie.base}/widget.js" data-chatbot-id="${agent.id}"${more} async></script>`));
  return {
    origin, agent, broken, webhook: told,
    setDates: () => setDates(aerie),
    close() {
      for (const one of [webhook, server]) {
        one.closeAllConnections();
        one.close();
      }
    },
  };
}
