// A real WordPress, as Debian packs it: a copy of it in a folder, its database beside it, served on a free port of this machine.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '../tools/postgres.mjs';
import { startMariadb } from './mariadb.mjs';

const PACKAGE = '/usr/share/wordpress';
const THEMES = '/usr/share/wordpress/wp-content/themes';
const here = (name) => fileURLToPath(new URL(name, import.meta.url));
export const OWNER = { name: 'owner', password: 'a long password of the owner', email: 'owner@site.test' };

const quoted = (text) => `'${String(text).replace(/[\\']/g, '\\$&')}'`;

export class Site {
  /** A site of that title, whose owner is OWNER, with posts of its own. */
  static async start({ title = 'The Shop' } = {}) {
    if (!existsSync(PACKAGE)) throw new Error('WordPress is not installed: run etc/setup all');
    const site = new Site();
    site.folder = mkdtempSync(join(tmpdir(), 'aerie-wordpress-'));
    try {
      site.root = join(site.folder, 'site');
      site.log = join(site.folder, 'debug.log');
      site.database = await startMariadb(join(site.folder, 'mariadb'));
      site.database.sql('create database wordpress');
      cpSync(PACKAGE, site.root, { recursive: true, dereference: true, filter: (from) => !from.startsWith(THEMES) && !from.endsWith('.htaccess') });
      cpSync(join(THEMES, 'twentytwentythree'), join(site.root, 'wp-content/themes/twentytwentythree'), { recursive: true, dereference: true });
      for (const folder of ['uploads', 'mu-plugins']) mkdirSync(join(site.root, 'wp-content', folder), { recursive: true });
      cpSync(here('listener.php'), join(site.root, 'wp-content/mu-plugins/listener.php'));
      site.port = await freePort();
      site.base = `http://127.0.0.1:${site.port}`;
      site.#configure();
      site.php(`define( 'WP_INSTALLING', true ); require 'wp-load.php'; require ABSPATH . 'wp-admin/includes/upgrade.php';
        wp_install( ${quoted(title)}, ${quoted(OWNER.name)}, ${quoted(OWNER.email)}, true, '', ${quoted(OWNER.password)} );`);
      await site.#serve();
      site.permalinks('/%postname%/');
      return site;
    } catch (error) {
      await site.stop();
      throw error;
    }
  }

  #configure(more = {}) {
    const salts = ['AUTH_KEY', 'SECURE_AUTH_KEY', 'LOGGED_IN_KEY', 'NONCE_KEY', 'AUTH_SALT', 'SECURE_AUTH_SALT', 'LOGGED_IN_SALT', 'NONCE_SALT'];
    const constants = {
      DB_NAME: 'wordpress', DB_USER: 'root', DB_PASSWORD: '', DB_HOST: `localhost:${this.database.socket}`, DB_CHARSET: 'utf8mb4', DB_COLLATE: '',
      WP_HOME: this.base, WP_SITEURL: this.base, WP_DEFAULT_THEME: 'twentytwentythree', FS_METHOD: 'direct', WP_ACCESSIBLE_HOSTS: '127.0.0.1', WP_DEBUG_LOG: this.log,
      ...Object.fromEntries(salts.map((name) => [name, `${name} of the tests`])),
    };
    const switches = { WP_DEBUG: true, WP_DEBUG_DISPLAY: false, WP_HTTP_BLOCK_EXTERNAL: true, DISABLE_WP_CRON: true, AUTOMATIC_UPDATER_DISABLED: true, ...more };
    writeFileSync(join(this.root, 'wp-config.php'), ['<?php',
      ...Object.entries(constants).map(([name, value]) => `define( '${name}', ${quoted(value)} );`),
      ...Object.entries(switches).map(([name, value]) => `define( '${name}', ${value} );`),
      "$table_prefix = 'wp_';", "require_once __DIR__ . '/wp-settings.php';", ''].join('\n'));
  }

  async #serve() {
    this.server = spawn('php', ['-d', 'sendmail_path=/bin/true', '-S', `127.0.0.1:${this.port}`, '-t', this.root, here('router.php')], {
      detached: true, // its workers are of its group, and end with it
      stdio: 'ignore',
      env: { ...process.env, PHP_CLI_SERVER_WORKERS: '4', AERIE_WORDPRESS_STATE: this.folder },
    });
    for (let tries = 0; ; tries++) {
      const answer = await fetch(`${this.base}/wp-login.php`).catch(() => null);
      if (answer?.ok) return;
      if (tries > 200 || this.server.exitCode !== null) throw new Error(`WordPress does not answer: ${answer?.status ?? 'nothing'}\n${this.readLog()}`);
      await sleep(50);
    }
  }

  /** Runs code inside this WordPress, as no one; what it prints. */
  php(code) {
    return execFileSync('php', ['-d', 'sendmail_path=/bin/true', '-r', `$_SERVER['HTTP_HOST'] = '127.0.0.1:${this.port}'; ${code}`], { cwd: this.root, encoding: 'utf8' });
  }

  /** The same where WordPress is loaded, and the value of an expression comes back. */
  ask(expression) {
    return JSON.parse(this.php(`require 'wp-load.php'; require_once ABSPATH . 'wp-admin/includes/admin.php'; echo json_encode( ${expression} );`));
  }

  /** '' for plain ones. */
  permalinks(structure) {
    this.php(`require 'wp-load.php'; global $wp_rewrite; $wp_rewrite->set_permalink_structure( ${quoted(structure)} ); $wp_rewrite->flush_rules( false );`);
  }

  /** What the plugin has in the database. */
  kept() {
    return this.database.sql("select option_name from wp_options where option_name like '%aerie%' order by option_name", 'wordpress').split('\n').filter(Boolean);
  }

  /** Removes all of it. */
  forget() {
    this.database.sql("delete from wp_options where option_name like '%aerie_chat%'", 'wordpress');
  }

  /** Writes an option past WordPress. value: as it stands in the database. */
  keep(name, value, autoload = 'yes') {
    this.database.sql(`replace into wp_options (option_name, option_value, autoload) values ('${name}', x'${Buffer.from(value).toString('hex')}', '${autoload}')`, 'wordpress');
  }

  option(name) {
    return this.ask(`get_option( ${quoted(name)} )`);
  }

  /** Its address's path. */
  addPage(title, content, type = 'page') {
    const id = this.ask(`wp_insert_post( array( 'post_type' => ${quoted(type)}, 'post_status' => 'publish', 'post_title' => ${quoted(title)}, 'post_content' => ${quoted(content)} ) )`);
    return `/?${type === 'page' ? 'page_id' : 'p'}=${id}`;
  }

  addUser(name, role) {
    this.ask(`wp_insert_user( array( 'user_login' => ${quoted(name)}, 'user_pass' => ${quoted(OWNER.password)}, 'user_email' => ${quoted(`${name}@site.test`)}, 'role' => ${quoted(role)} ) )`);
  }

  /** The web server's ways: router.php says which. */
  set(state, isOn) {
    if (isOn) writeFileSync(join(this.folder, state), '');
    else rmSync(join(this.folder, state), { force: true });
  }

  /** Makes it a network with a second site, wp_2_…. */
  makeNetwork() {
    const domain = quoted(`127.0.0.1:${this.port}`);
    this.php(`require 'wp-load.php'; require_once ABSPATH . 'wp-admin/includes/upgrade.php';
      foreach ( $wpdb->tables( 'ms_global' ) as $table => $prefixed ) { $wpdb->$table = $prefixed; }
      install_network(); populate_network( 1, ${domain}, ${quoted(OWNER.email)}, 'Shops', '/', false );`);
    this.#configure({ MULTISITE: true, SUBDOMAIN_INSTALL: false, DOMAIN_CURRENT_SITE: domain, PATH_CURRENT_SITE: "'/'", SITE_ID_CURRENT_SITE: 1, BLOG_ID_CURRENT_SITE: 1 });
    this.ask(`wpmu_create_blog( ${domain}, '/second/', 'Second', 1 )`);
  }

  readLog() {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }

  /** What PHP has to say of the plugin since this was asked last: of what goes wrong in it, or in WordPress when the plugin has called it; and whatever ends a request. */
  complaints() {
    const log = this.readLog();
    rmSync(this.log, { force: true });
    return log.split('\n').filter((line) => /\[aerie-chat\]|Fatal error|Parse error|WordPress database error/.test(line));
  }

  async signIn(page, name = OWNER.name) {
    await page.goto(`${this.base}/wp-login.php`);
    await page.locator('#user_login').fill(name);
    await page.locator('#user_pass').fill(OWNER.password);
    await page.locator('#wp-submit').click();
    await page.waitForURL(/wp-admin/);
  }

  async stop() {
    if (this.server?.exitCode === null) {
      const gone = new Promise((resolve) => this.server.once('exit', resolve));
      process.kill(-this.server.pid, 'SIGTERM');
      await gone;
    }
    await this.database?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Installs a plugin as its owner does: uploads the archive, and activates it. */
export async function installPlugin(site, page, zip) {
  await page.goto(`${site.base}/wp-admin/plugin-install.php?tab=upload`);
  await page.locator('#pluginzip').setInputFiles(zip);
  await page.locator('#install-plugin-submit').click();
  const activate = page.getByRole('link', { name: 'Activate Plugin' });
  await activate.waitFor();
  await activate.click();
  await page.getByText('Plugin activated.').waitFor();
  assert.ok(site.ask("is_plugin_active( 'aerie-chat/aerie-chat.php' )"));
}
