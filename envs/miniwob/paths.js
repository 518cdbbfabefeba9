// An xpath of one element alone, by what another page of the task would have, too; evaluated after page.js.
(() => {
  'use strict';
  const TELLING = new Set(['a', 'button', 'input', 'select', 'option', 'textarea', 'label', 'li', 'th', 'td', 'tr', 'h3']);
  const WORDS = ['placeholder', 'title', 'alt', 'aria-label', 'value', 'fill', 'data-color', 'data-type', 'data-result'];
  const KINDS = ['name', 'type', 'role', 'href', 'for'];
  const FRAME = ['area', 'wrap', 'query'];
  const LONGEST = 100;  // characters of a text that an element is told by

  const quoted = (said) => !said.includes("'") ? `'${said}'` : !said.includes('"') ? `"${said}"`
    : `concat(${said.split("'").map((part) => `'${part}'`).join(`, "'", `)})`;
  const kind = (element) => element instanceof SVGElement ? `*[name()='${element.tagName}']` : element.tagName.toLowerCase();
  const plain = (id) => id && !/\d/.test(id) && !FRAME.includes(id);

  // Whether the task names it: its words stand there, whole.
  const asked = (said) => {
    const word = (letter) => letter !== undefined && /[\p{L}\p{N}]/u.test(letter);
    for (let at = lab.goal.indexOf(said); said && at >= 0; at = lab.goal.indexOf(said, at + 1))
      if (!(word(lab.goal[at - 1]) && word(said[0])) && !(word(lab.goal[at + said.length]) && word(said.at(-1)))) return true;
    return false;
  };

  // What an element says, and the test for it.
  const saying = (element) => {
    for (const node of element.childNodes) {
      const said = node instanceof Text ? node.data.trim() : '';
      if (said && said.length <= LONGEST)
        return { said, test: `${said === node.data ? 'text()' : 'normalize-space(text())'}=${quoted(said)}` };
    }
    const said = element.children.length ? element.textContent.replace(/\s+/g, ' ').trim() : '';
    return said && said.length <= LONGEST ? { said, test: `normalize-space(.)=${quoted(said)}` } : null;
  };
  const attribute = (element, name) => {
    const said = element.getAttribute(name);
    return said ? [{ said, test: `@${name}=${quoted(said)}` }] : [];
  };
  const labels = (element) => [...(element.labels || [])].flatMap((label) => {
    const text = saying(label);
    return text ? [{ said: text.said, path: label.contains(element) ? `//label[${text.test}]//${kind(element)}`
      : `//${kind(element)}[@id=//label[${text.test}]/@for]` }] : [];
  });

  // Beside a text that the task names: what of its kind is in the least that holds both.
  const beside = (element, tests) => {
    const found = [];
    for (const one of document.body.querySelectorAll(':not(#query):not(#query *)')) {
      const text = saying(one);
      if (!text || !asked(text.said) || one.contains(element) || element.contains(one)) continue;
      let up = one, steps = 0;
      while (!up.contains(element)) up = up.parentElement, steps += 1;
      for (const test of tests) found.push([steps, `//*[${text.test}]/ancestor::*[${steps}]//${kind(element)}${test}`]);
    }
    return found.sort((a, b) => a[0] - b[0]).map(([, path]) => path);
  };

  // From what carries over best to what only finds it.
  const candidates = function* (element) {
    const tag = kind(element), telling = TELLING.has(tag), id = element.id, text = saying(element);
    const own = [...(text ? [text] : []), ...WORDS.flatMap((name) => attribute(element, name))];
    const wanted = own.filter(({ said }) => asked(said)), rest = own.filter(({ said }) => !asked(said));
    const kinds = [...KINDS, 'class'].flatMap((name) => attribute(element, name)).map(({ test }) => `[${test}]`);
    const either = ({ test }) => telling ? [`//${tag}[${test}]`] : [`//*[${test}]`, `//${tag}[${test}]`];
    const within = [];
    for (let up = element.parentElement; up && up.id !== 'wrap'; up = up.parentElement)
      if (plain(up.id) || up.id === 'area') within.push(`//*[@id=${quoted(up.id)}]`);

    const named = `//*[@id=${quoted(id)}]`;
    if (id && asked(id) && /\W|\d/.test(id)) yield named;
    yield* wanted.flatMap(either);
    yield* labels(element).filter(({ said }) => asked(said)).map(({ path }) => path);
    for (const { test } of wanted) {
      yield* kinds.map((more) => `//${tag}${more}[${test}]`);
      yield* within.map((inside) => `${inside}//${tag}[${test}]`);
      yield* [...lab.select(`//${tag}[${test}]`).keys()].map((n) => `(//${tag}[${test}])[${n + 1}]`);
    }
    if (plain(id)) yield named;
    yield* beside(element, [...kinds, ...rest.map(({ test }) => `[${test}]`), '']);
    yield* labels(element).map(({ path }) => path);
    if (telling) yield* [...rest.flatMap(either), `//${tag}`];
    yield* kinds.map((test) => `//${tag}${test}`);
    yield* rest.flatMap(either);
    yield* within.flatMap((inside) => ['', ...kinds].map((test) => `${inside}//${tag}${test}`));
    yield* [...lab.select(`//${tag}`).keys()].map((n) => `(//${tag})[${n + 1}]`);
  };

  const path = (element) => {
    for (const xpath of candidates(element)) {
      const found = lab.select(xpath);
      if (found.length === 1 && found[0] === element) return xpath;
    }
    return null;
  };
  const ofOption = (option) => {
    const own = `option[text()=${quoted(option.text)}]`;
    for (const xpath of [`//${own}`, `${path(option.closest('select'))}//${own}`]) if (lab.select(xpath).length === 1) return xpath;
    return path(option);
  };

  // How a program speaks of an element, and of the option with a text in it; whether it is a field that holds nothing.
  lab.told = (element, text) => {
    const chosen = text === null ? null : lab.option(element, text).chosen;
    return {
      path: element.matches('select option') ? ofOption(element) : path(element),
      option: chosen ? ofOption(chosen) : null,
      empty: element.matches('input:not([type=date]):not([type=time]), textarea') && element.value === ''
        && !element.validity.badInput,  // whose text no value tells
    };
  };
})();
