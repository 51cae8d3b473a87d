// What the pages for operators share.
import { h } from '../shell/dom.js';
import { may } from '../shell/api.js';

const PAGES = [
  ['/operate', 'Gateways', 'gateway-nodes:read'],
  ['/operate/topics', 'Topics', 'topics:read'],
  ['/operate/versions', 'Versions', 'config-versions:read'],
  ['/operate/people', 'People', 'users:read'],
  ['/operate/scorecards', 'Scorecards', 'scorecard-rules:write'],
  ['/operate/audit', 'Audit trail', 'audit-events:read'],
];

export function subMenu() {
  return h('nav', { class: 'sub', 'aria-label': 'Operate' }, PAGES.filter(([, , permission]) => may(permission)).map(([path, title]) =>
    h('a', { href: path, 'aria-current': location.pathname === path ? 'page' : null }, title)));
}
