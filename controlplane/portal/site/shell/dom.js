// Elements from data. Text goes in as text and never as markup, so a name can be anything.

const PROPERTIES = new Set(['value', 'checked', 'disabled', 'selected', 'indeterminate']);

// h('p', {class: 'quiet', onclick: fn, hidden: true}, 'text', element, [more]): null, undefined and false are left out.
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (PROPERTIES.has(name)) element[name] = value;
    else element.setAttribute(name, value === true ? '' : safe(name, String(value)));
  }
  add(element, children);
  return element;
}

// What a link leads to comes from people too: javascript: and the like lead nowhere.
function safe(name, value) {
  if (name !== 'href' && name !== 'src' && name !== 'action') return value;
  try {
    const url = new URL(value, location.href);
    return ['http:', 'https:', 'mailto:', 'blob:'].includes(url.protocol) ? value : '#';
  } catch {
    return '#';
  }
}

export function add(element, ...children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

export function replace(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

// For people who listen: what just happened, without moving the focus.
export function say(text) {
  const status = document.getElementById('status');
  status.textContent = '';
  requestAnimationFrame(() => { status.textContent = text; });
}

export function when(text) {
  if (!text) return '–';
  const date = new Date(text);
  return h('time', { datetime: text, title: text },
    new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' }).format(date));
}

export function notice(kind, ...children) {
  return h('div', { class: `notice ${kind}`, role: kind === 'bad' ? 'alert' : null }, ...children);
}

// A text that is shown once, with a button that copies it.
export function once(label, text) {
  const button = h('button', {
    type: 'button',
    onclick: async () => {
      try {
        await navigator.clipboard.writeText(text);
        say('Copied.');
        button.textContent = 'Copied';
      } catch {
        getSelection().selectAllChildren(code);
        say('Selected: copy it with your keyboard.');
      }
    },
  }, 'Copy');
  const code = h('code', { class: 'mono' }, text);
  return h('div', { class: 'notice good' }, h('p', {}, label), h('p', {}, code), button);
}

export function table(caption, columns, rows, empty = 'Nothing here yet.') {
  if (rows.length === 0) return h('p', { class: 'quiet' }, empty);
  return h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    h('table', {},
      h('caption', { class: 'hidden' }, caption),
      h('thead', {}, h('tr', {}, columns.map((column) => h('th', { scope: 'col' }, column)))),
      h('tbody', {}, rows.map((cells) => h('tr', {}, cells.map((cell) => h('td', {}, cell)))))));
}
