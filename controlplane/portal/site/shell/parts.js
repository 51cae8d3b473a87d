// What pages are made of beside forms: parts that load themselves, lists with pages, dialogs, code to copy, tags.
import { add, h, notice, replace, say, table } from './dom.js';
import { get, url } from './api.js';
import { leaving } from './router.js';

// The focus stays where it was: on the same element if it is still there, or its successor, or at least in this part.
// `held` had it when loading began (null: nothing of this part): what is used again may have lost it since.
function keepFocus(body, held, change) {
  const before = document.activeElement === document.body ? held : document.activeElement;
  const inside = before !== null && (before === held || body.contains(before));
  const name = before?.getAttribute?.('name');
  change();
  if (!inside || document.activeElement === before) return;
  (before.isConnected ? before : (name && body.querySelector(`[name="${CSS.escape(name)}"]`)) || body).focus();
}

// A part of the page that loads itself, and again after a change (`again`). What fails is said in its place.
export function part(title, load, attributes = {}) {
  const body = h('div', { 'aria-busy': 'true', tabindex: '-1' }, h('p', { class: 'quiet' }, 'Loading…'));
  const again = async () => {
    const held = body.contains(document.activeElement) ? document.activeElement : null;
    let content;
    try {
      content = await load(again);
    } catch (problem) {
      if (problem.status === undefined) console.error(problem);
      content = notice('bad', h('p', {}, problem.message));
    }
    keepFocus(body, held, () => replace(body, content));
    body.removeAttribute('aria-busy');
  };
  again();
  return h('section', { class: 'card', ...attributes }, title && h('h2', {}, title), body);
}

// Puts a page of `path` into `list`, by `show(item)`, and more when somebody asks; `whole` has the list, or is it.
async function paged(path, query, { list, whole = list, show, empty }) {
  const more = h('button', { type: 'button' }, 'Show more');
  const wrong = h('div', {});
  const end = h('div', {}, wrong, more);
  let cursor = null;
  const load = async () => {
    const page = await get(url(path, { ...query, cursor }));
    const first = list.childElementCount;
    for (const item of page.items) list.append(show(item));
    cursor = page.next;
    end.hidden = !cursor;
    return first;
  };
  more.addEventListener('click', async () => {
    more.disabled = true;
    replace(wrong);
    try {
      const first = await load();
      list.children[first]?.querySelector('a, button')?.focus();
      say(`${list.childElementCount} are shown.`);
    } catch (problem) {
      replace(wrong, notice('bad', h('p', {}, problem.message)));
    }
    more.disabled = false;
  });
  await load();
  return list.childElementCount === 0 ? h('p', { class: 'quiet' }, empty) : h('div', {}, whole, end);
}

// A list of which more pages are loaded when somebody asks. `show(item)` gives an element for each.
export const pages = (path, query, show, empty) => paged(path, query, { list: h('ul', { class: 'plain' }), show: (item) => h('li', {}, show(item)), empty });

// The same as a table: `cells(item)` is a row.
export function tablePages(caption, columns, path, query, cells, empty) {
  const whole = table(caption, columns, [[]]);
  const list = whole.querySelector('tbody');
  replace(list);
  return paged(path, query, { list, whole, show: (item) => h('tr', {}, cells(item).map((cell) => add(h('td', {}), cell))), empty });
}

const PAGES_MAX = 20;

// Everything of a list that is short by nature: 20,000 at most.
export async function all(path, query = {}) {
  const items = [];
  let cursor = null;
  for (let i = 0; i < PAGES_MAX && (i === 0 || cursor); i++) {
    const page = await get(url(path, { ...query, limit: 1000, cursor }));
    items.push(...page.items);
    cursor = page.next;
  }
  return items;
}

let numbers = 0;

// A modal dialog; browsers give the focus back to where it was. `content(close)` is what it has.
export function dialog(title, content) {
  const id = `d${++numbers}`;
  const element = h('dialog', { 'aria-labelledby': id });
  const close = () => element.close();
  element.addEventListener('close', () => {
    element.remove();
    // What had it may be gone; who listens is not left at the top of the document.
    if (document.activeElement === document.body) document.getElementById('main').focus();
  });
  element.append(h('div', { class: 'row apart' }, h('h2', { id }, title), h('button', { type: 'button', class: 'link', onclick: close }, 'Close')), content(close));
  leaving(close);
  document.body.append(element);
  element.showModal();
  return element;
}

// Asks before what cannot be undone. `act` is done when it is confirmed; what fails is said in the dialog.
export function ask(title, text, verb, act) {
  dialog(title, (close) => {
    const wrong = h('div', {});
    const button = h('button', {
      type: 'button',
      class: 'bad',
      onclick: async () => {
        button.disabled = true;
        try {
          await act();
          close();
        } catch (problem) {
          replace(wrong, notice('bad', h('p', {}, problem.message), (problem.errors ?? []).length > 0 && h('ul', {}, problem.errors.map((error) => h('li', {}, error.detail)))));
          button.disabled = false;
        }
      },
    }, verb);
    return h('div', {}, wrong, h('p', {}, text), h('div', { class: 'row' }, button, h('button', { type: 'button', onclick: close }, 'Cancel')));
  });
}

export function code(label, text) {
  const button = h('button', {
    type: 'button',
    'aria-label': `Copy: ${label}`,
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        say('Copied.');
      } catch {
        getSelection().selectAllChildren(block);
        say('Selected: copy it with your keyboard.');
      }
    },
  }, 'Copy');
  const block = h('code', {}, text);
  return h('figure', { class: 'code' }, h('figcaption', { class: 'row apart' }, label, button), h('pre', { tabindex: '0' }, block));
}

const KINDS = { published: 'good', approved: 'good', deprecated: 'warn', pending: 'warn', suspended: 'warn', refused: 'bad', revoked: 'bad', expired: 'bad' };
export const tag = (text) => h('span', { class: `tag ${Object.hasOwn(KINDS, text) ? KINDS[text] : ''}` }, text);

// Tabs as the ARIA practices have them: arrows move, one is in the order of the Tab key.
export function tabs(label, entries) {
  const panel = h('div', { role: 'tabpanel', id: `t${++numbers}`, tabindex: '0' });
  const buttons = entries.map(([title], i) => h('button', { type: 'button', role: 'tab', id: `${panel.id}-${i}`, 'aria-controls': panel.id, onclick: () => choose(i) }, title));
  const choose = (chosen, focus = false) => {
    buttons.forEach((button, i) => {
      button.setAttribute('aria-selected', String(i === chosen));
      button.tabIndex = i === chosen ? 0 : -1;
    });
    panel.setAttribute('aria-labelledby', buttons[chosen].id);
    replace(panel, entries[chosen][1]());
    if (focus) buttons[chosen].focus();
  };
  const onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    const place = buttons.indexOf(event.target);
    if (!step || place < 0) return;
    event.preventDefault();
    choose((place + step + buttons.length) % buttons.length, true);
  };
  const element = h('div', { class: 'tabs' }, h('div', { role: 'tablist', 'aria-label': label, onkeydown }, buttons), panel);
  choose(0);
  return element;
}
