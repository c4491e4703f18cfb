"""Fills a SQLite database of Aerie, which has a team: many_rows.py FILE TEAM_SLUG MESSAGES [SEED]

Chats of some users and visitors with messages of every kind that could be changed on a way: no text, long text, every plane of
Unicode, quotes and backslashes, line ends, NULLs, JSON of all types, avatars, documents with vectors, usage, budgets, tokens.
"""
import hashlib
import json
import random
import sqlite3
import struct
import sys
import uuid

path, slug, n_messages = sys.argv[1], sys.argv[2], int(sys.argv[3])
seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
rng = random.Random(seed)
db = sqlite3.connect(path, timeout=20, isolation_level=None)
db.execute("PRAGMA foreign_keys = ON")
db.execute("BEGIN IMMEDIATE")
T0 = 1_700_000_000_000_000
MAX = (1 << 63) - 1
texts = [
    "", " ", "plain words", "Grüße, ça va? naïve", "日本語のテキストと中文", "עברית ועוד العربية", "👩‍👩‍👧‍👦 family 🏳️‍🌈 flag 🇩🇪",
    "tab\there, line\nfeed, return\rand \r\n both", "back\\slash \\N \\. \\t \\x41 'single' \"double\" $$ ; --", "\u0001\u001f\u007f\u0085 controls",
    "\ufeffbom \u200b\u200d\u2028\u2029 \ufffd \uffff", "\U0001d11e\U0010ffff last", "e\u0301 is not é", "%s %n {} ${x} <b>&amp;</b>", "\\", "\\.\n", "\n", "NULL", "\\N",
]


def ident():
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))


def when():
    return T0 + rng.randrange(10**14)


def text():
    kind = rng.random()
    if kind < 0.5:
        return rng.choice(texts)
    if kind < 0.98:
        return " ".join(rng.choice(texts) for _ in range(rng.randrange(1, 12)))
    return rng.choice(texts[3:7]) * rng.randrange(200, 4000)


def value(depth=0):
    kind = rng.randrange(9 if depth < 3 else 7)
    if kind == 7:
        return [value(depth + 1) for _ in range(rng.randrange(4))]
    if kind == 8:
        return {rng.choice(texts)[:20].replace("\u0001", ""): value(depth + 1) for _ in range(rng.randrange(4))}
    return [None, True, False, rng.randrange(-10**9, 10**15), rng.choice([0.5, -1.25e-7, 1e20, 100.0, 12345678.9]), rng.choice(texts), ""][kind]


def fields():
    return json.dumps({f"k{i}": value() for i in range(rng.randrange(5))}, ensure_ascii=rng.random() < 0.5)


def add(table, **row):
    names = ", ".join(f'"{name}"' for name in row)
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(row))})", list(row.values()))


team, = db.execute("SELECT id FROM teams WHERE slug = ?", (slug,)).fetchone()
db.execute("UPDATE teams SET settings = json_patch(settings, ?) WHERE id = ?", (json.dumps({"motto": "Grüße 👋 \\ \"all\""}), team))
users = [ident() for _ in range(12)]
for i, user in enumerate(users):
    add("users", id=user, team_id=team, email=f"many{seed}-{i}@aerie.test", password_hash="$2b$04$" + "a" * 53, full_name=rng.choice([None, "Zoë 👩", "O'Neil \\"]),
        role="user", avatar=rng.choice([None, "data:image/png;base64," + "iVBORw0KGgo" * 500]), preferences=fields(), is_active=rng.randrange(2),
        last_login_at=rng.choice([None, when()]), created_at=when(), updated_at=when(), email_verified_at=rng.choice([None, when()]))
people = [user for user, in db.execute("SELECT id FROM users WHERE team_id = ? AND email NOT LIKE 'many%'", (team,))]
owners = users + people * 4 + [None] * 4
agents = [ident() for _ in range(5)]
for i, agent in enumerate(agents):
    add("agents", id=agent, team_id=team, created_by=rng.choice([None, users[i]]), name=f"Agent {i} 🤖", description=rng.choice([None, text()[:500]]), provider="echo",
        model=None, system_prompt=text()[:2000], avatar=None, config=fields(), allowed_origins='["https://shop.example"]', is_active=1, created_at=when(), updated_at=when())
    add("api_keys", id=ident(), team_id=team, agent_id=agent, name="shop", prefix=f"p{seed}x{i}x{rng.randrange(10**9)}", key_hash=hashlib.sha256(agent.encode()).hexdigest(),
        expires_at=rng.choice([None, when()]), created_by=None, created_at=when())
    add("revoked_tokens", team_id=team, kind="user", subject=rng.choice(users), before=T0 + i, expires_at=MAX if i == 0 else T0 + 10**15)
    add("refresh_tokens", id=ident(), team_id=team, user_id=users[i], family=ident(), token_hash=ident(), created_at=when(), expires_at=T0 + 10**15, spent_at=None)
for day in range(20):
    add("usage_days", team_id=team, day=T0 - T0 % 86400000000 + day * 86400000000, owner_id=users[0], agent_id=agents[0], provider="echo", model="", messages=day,
        prompt_tokens=10**12, completion_tokens=1, total_tokens=10**12 + 1, estimated_tokens=0)
for i, agent in enumerate(agents[:3]):
    add("budgets", id=ident(), team_id=team, scope="agent", subject_id=agent, period="month", requests=rng.choice([None, 1000]), tokens=10**12, money_micros=None,
        created_at=when(), updated_at=when())
    add("budget_spend", team_id=team, scope="agent", subject_id=agent, period="month", period_start=T0 - T0 % 86400000000 + i * 86400000000, requests=i, tokens=10**11 + i,
        money_micros=10**10 + i, leased_requests=0, leased_tokens=0, leased_micros=0, was_cut=i % 2, warned_at=rng.choice([None, when()]), spent_at=None)
left = n_messages
while left > 0:
    chat, user = ident(), rng.choice(owners)
    add("chats", id=chat, team_id=team, user_id=user, owner_id=user or chat, agent_id=rng.choice(agents + [None]), title=text()[:200], metadata=fields(),
        is_archived=rng.randrange(2), created_at=when(), updated_at=when(), visitor_hash=None if user else rng.choice([None, hashlib.sha256(chat.encode()).hexdigest()]),
        origin=None if user else rng.choice([None, "https://shop.example"]))
    n = min(left, rng.randrange(0, 60))
    for seq in range(1, n + 1):
        add("messages", id=ident(), team_id=team, chat_id=chat, seq=seq, role="user" if seq % 2 else "assistant", content=text(),
            status="complete" if seq % 2 else rng.choice(["complete", "stopped", "interrupted", "error"]), model=rng.choice([None, "gpt-∞"]),
            usage=rng.choice([None, '{"total_tokens": 12, "prompt_tokens": 7, "completion_tokens": 5}']), metadata=fields(), created_at=when())
    left -= n
for i in range(10):
    document = ident()
    add("documents", id=document, team_id=team, title=rng.choice(texts[2:]), content_type="text/plain", content_hash=hashlib.sha256(document.encode()).hexdigest(),
        metadata=fields(), status="ready", error=None, n_bytes=10, n_chars=10, n_chunks=20, created_at=when(), updated_at=when())
    for seq in range(20):
        vector = rng.choice([None, struct.pack("<64f", *(rng.uniform(-1, 1) for _ in range(64)))])
        add("document_chunks", id=ident(), team_id=team, document_id=document, seq=seq, content=text()[:3000], model=vector and "embed", dimensions=vector and 64, embedding=vector)
db.execute("COMMIT")
