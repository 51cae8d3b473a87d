// Pages by path. A page is a function of ({params, query, main}) that returns an element, or a promise of one.
import { h, notice, replace, say } from './dom.js';
import { Problem, may, onSession, session } from './api.js';

const routes = [];
let shown = 0;
let farewells = [];

// fn() when another page is shown than the one that is being made or shown now, or the browser leaves.
export function leaving(fn) {
  farewells.push(fn);
}

function leave() {
  const all = farewells;
  farewells = [];
  for (const fn of all) fn();
}

// page('/event-apis/:key', {title, show, signedIn, visitors, nav, needs}): `nav` is a word in the main menu, for those
// who hold the permission `needs`; `signedIn` asks for a session, unless `visitors` may look and the server lets them.
export function page(pattern, options) {
  routes.push({ ...options, pattern, parts: pattern.split('/') });
}

const isOpen = (route) => !route.signedIn || session.signed_in || (route.visitors === true && session.public_catalog === true);

function match(path) {
  const parts = path.replace(/(.)\/+$/, '$1').split('/');
  for (const route of routes) {
    if (route.parts.length !== parts.length) continue;
    const params = {};
    const fits = route.parts.every((part, i) => {
      if (!part.startsWith(':')) return part === parts[i];
      try {
        params[part.slice(1)] = decodeURIComponent(parts[i]);
      } catch {
        return false;
      }
      return parts[i] !== '';
    });
    if (fits) return { route, params };
  }
  return null;
}

// A place on this host: whoever made the link cannot send somebody elsewhere with it.
export function safePath(text) {
  try {
    const target = new URL(text ?? '/', location.origin);
    return target.origin === location.origin && /^\/(?![/\\])/.test(target.pathname) ? target.pathname + target.search : '/';
  } catch {
    return '/';
  }
}

export function go(path, replaceState = false) {
  history[replaceState ? 'replaceState' : 'pushState'](null, '', safePath(path));
  return show();
}

function missing() {
  return h('div', {}, h('h1', {}, 'No such page'), h('p', {}, 'There is nothing at this address. ', h('a', { href: '/' }, 'Go to the start.')));
}

export function failure(problem) {
  return h('div', {}, h('h1', {}, problem.status === 403 ? 'Not allowed' : 'That did not work'), notice('bad', h('p', {}, problem.message)));
}

// Shows what the address says. A page that is slow and was left in between is not shown.
export async function show() {
  const turn = ++shown;
  leave();
  const main = document.getElementById('main');
  const found = match(location.pathname);
  const query = new URLSearchParams(location.search);
  if (found && !isOpen(found.route)) {
    const to = location.pathname + location.search;
    return go(to === '/' ? '/sign-in' : `/sign-in?to=${encodeURIComponent(to)}`, true);
  }
  let content;
  main.setAttribute('aria-busy', 'true');
  try {
    content = found ? await found.route.show({ params: found.params, query, main }) : missing();
  } catch (problem) {
    if (problem.status === 401 && turn === shown && !isOpen(found.route)) return show();
    if (problem.status === undefined) console.error(problem);
    content = failure(problem);
  }
  if (turn !== shown || content === null) return undefined;
  main.removeAttribute('aria-busy');
  replace(main, content);
  arrive(found, main);
  return undefined;
}

// The title and the focus follow, so that a page is a page also for who does not see it.
function arrive(found, main) {
  const heading = main.querySelector('h1');
  document.title = `${heading?.textContent || found?.route.title || 'Portal'} – Sluice`;
  if (heading) heading.tabIndex = -1;
  (heading ?? main).focus({ preventScroll: true });
  scrollTo(0, 0);
  say(document.title);
  menu();
}

function menu() {
  const here = location.pathname;
  replace(document.getElementById('nav'), routes
    .filter((route) => route.nav && isOpen(route) && (!route.needs || may(route.needs)))
    .map((route) => h('a', { href: route.pattern, 'aria-current': here === route.pattern || (route.pattern !== '/' && here.startsWith(`${route.pattern}/`)) ? 'page' : null }, route.nav)));
  replace(document.getElementById('who'), session.signed_in
    ? [h('a', { href: '/profile' }, session.user.title || session.user.name)]
    : [h('a', { href: '/sign-in' }, 'Sign in')]);
}

function onClick(event) {
  const link = event.target.closest?.('a[href]');
  if (!link || event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
  if (link.pathname.startsWith('/auth/') || link.pathname.startsWith('/v1/')) return;
  if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

let unheard = null;

// What a button asked for in vain, and nothing else tells of.
function onUnheard(event) {
  if (!(event.reason instanceof Problem)) return;
  event.preventDefault();
  unheard?.remove();
  unheard = notice('bad', h('p', {}, event.reason.message));
  unheard.tabIndex = -1;
  document.getElementById('main').prepend(unheard);
  unheard.focus();
}

export function start() {
  document.addEventListener('click', onClick);
  addEventListener('unhandledrejection', onUnheard);
  addEventListener('popstate', show);
  addEventListener('pagehide', leave);
  onSession(menu);
  return show();
}
