// The frame around each page: the menu, whose team this is, who is signed in.
import { useEffect, useRef, useState } from 'preact/hooks';
import { pages } from './pages.js';
import { Button } from './parts/button.jsx';
import { Icon } from './parts/icon.jsx';
import { Page } from './parts/page.jsx';
import { toastError } from './parts/toast.jsx';
import { match, usePlace } from './router.js';
import { session, signOut } from './session.js';
import { useStore } from './store.js';

function find(path) {
  for (const page of pages) {
    const params = match(page.path, path);
    if (params) return { page, params };
  }
  return null;
}

/** Is this row of the menu the one that the path is under? */
const isUnder = (row, path) => (row.path === '/' ? path === '/' : path === row.path || path.startsWith(`${row.path}/`));

/** group → its rows of the menu, in the table's order. */
const groups = new Map();
for (const row of pages.filter(({ icon }) => icon)) groups.set(row.group, [...(groups.get(row.group) ?? []), row]);

function Menu({ path }) {
  return (
    <nav aria-label="Console">
      {[...groups].map(([group, rows]) => (
        <div key={group} class="menu-group">
          {group && <p class="menu-title">{group}</p>}
          <ul>
            {rows.map((row) => (
              <li key={row.path}>
                <a href={`#${row.path}`} aria-current={isUnder(row, path) ? 'page' : undefined}><Icon name={row.icon} />{row.title}</a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}

function Who() {
  const { user } = useStore(session);
  return (
    <div class="who">
      <a href="#/account" class="who-name">
        <span>{user.full_name || user.email}</span>
        {user.full_name && <span class="faint small">{user.email}</span>}
      </a>
      <Button kind="quiet" icon="leave" onClick={() => signOut().catch(toastError)}>Sign out</Button>
    </div>
  );
}

export function Layout() {
  const { path } = usePlace();
  const { team } = useStore(session);
  const [isOpen, setOpen] = useState(false);
  const main = useRef(null);
  const first = useRef(true);
  const found = find(path);
  const title = found?.page.title ?? 'Not found';

  useEffect(() => {
    document.title = `${title} · ${team.name} · Aerie`;
  }, [title, team.name]);
  useEffect(() => {
    setOpen(false);
    if (first.current) {
      first.current = false;
      return;
    }
    scrollTo(0, 0);
    main.current.focus({ preventScroll: true }); // a reader hears the new page
  }, [path]);
  useEffect(() => {
    if (!isOpen) return undefined;
    const close = (event) => event.key === 'Escape' && setOpen(false);
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, [isOpen]);

  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return (
    <div class={`frame ${isOpen ? 'menu-open' : ''}`}>
      <a href="#main" class="skip" onClick={skip}>Skip to the page</a>
      <header class="side">
        <div class="side-head">
          <a class="side-brand" href="#/"><img src="/assets/icon.svg" alt="" width="32" height="32" /><span><strong>{team.name}</strong><span class="faint small">Aerie console</span></span></a>
          <button type="button" class="quiet menu-button" aria-expanded={isOpen} aria-controls="menu" onClick={() => setOpen(!isOpen)}>
            <Icon name={isOpen ? 'close' : 'menu'} />Menu
          </button>
        </div>
        <div class="side-body" id="menu">
          <Menu path={path} />
          <Who />
        </div>
      </header>
      <main id="main" ref={main} tabIndex={-1} aria-label={title}>
        {found ? <found.page.component key={path} {...found.params} /> : (
          <Page title="There is no such page" lead="The address may be old, or mistyped.">
            <div><a class="button" href="#/">Go to the overview</a></div>
          </Page>
        )}
      </main>
    </div>
  );
}
