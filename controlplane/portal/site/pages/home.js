// Where people start: what they can do next.
import { h } from '../shell/dom.js';
import { may, session } from '../shell/api.js';

// [title, text, path, permission]
const WAYS = [
  ['Find REST and event APIs', 'By words, tags, teams and environments; with documentation and first steps.', '/catalog', 'event-apis:read'],
  ['Your applications', 'Register them, subscribe them, and keep their credentials.', '/applications', 'applications:read'],
  ['Your event APIs', 'Publish topics, decide on requests, and see who uses what.', '/own', 'event-apis:write'],
  ['Gateways', 'What runs, on which configuration, and what is on the backends.', '/operate', 'gateway-nodes:read'],
  ['Your teams', 'Who is in them, and who is invited.', '/teams', 'teams:read'],
];

export function home() {
  const who = session.user;
  return h('div', {},
    h('h1', {}, `Welcome, ${who.title || who.name}`),
    h('div', { class: 'cards' }, WAYS.filter(([, , , permission]) => may(permission)).map(([title, text, path]) =>
      h('section', { class: 'card' }, h('h2', {}, h('a', { href: path }, title)), h('p', {}, text)))));
}
