// What the environment asks of a page of MiniWoB++; evaluated before the page's own scripts, as window.lab.
(() => {
  'use strict';
  const LONGEST = 1000;  // ms: a timer that runs longer is no answer to an action
  const OUTSIDE = ['reward-display', 'click-canvas', 'sync-task-cover', 'wrap'];
  const lab = { copied: '', goal: '' };
  window.lab = lab;

  // -- quiet: the answer to an action may come a little later ----------------------------------------------------------
  const pending = new Set(), setLater = window.setTimeout.bind(window), clearLater = window.clearTimeout.bind(window);
  window.setTimeout = (what, delay = 0, ...given) => {
    const number = setLater((...said) => {
      pending.delete(number);
      return typeof what === 'function' ? what(...said) : (0, eval)(what);
    }, delay, ...given);
    if (delay <= LONGEST) pending.add(number);
    return number;
  };
  window.clearTimeout = (number) => { pending.delete(number); clearLater(number); };
  const frames = new Set(), nextFrame = window.requestAnimationFrame.bind(window);
  window.requestAnimationFrame = (what) => {
    const number = nextFrame((...said) => { frames.delete(number); what(...said); });
    frames.add(number);
    return number;
  };
  const skipFrame = window.cancelAnimationFrame.bind(window);
  window.cancelAnimationFrame = (number) => { frames.delete(number); skipFrame(number); };
  const moving = () => pending.size + frames.size > 0 || (window.jQuery && window.jQuery.timers.length > 0)
    || document.getAnimations().some((one) => one.playState === 'running');
  lab.quiet = async (longest) => {
    const until = performance.now() + longest;
    while (moving() && performance.now() < until) await new Promise((done) => setLater(done, 5));
  };

  // Pictures take room only once they are there, and then other things are numbered.
  const pictures = async () => {
    const urls = new Set();
    for (const element of document.body.querySelectorAll('*')) {
      const drawn = /^url\("(.*)"\)$/.exec(getComputedStyle(element).content);
      if (drawn) urls.add(drawn[1]);
      if (element instanceof HTMLImageElement && element.src) urls.add(element.src);
    }
    await Promise.all([...urls].map((url) => {
      const picture = new Image();
      picture.src = url;
      return picture.decode().catch(() => null);
    }));
  };

  // -- episodes --------------------------------------------------------------------------------------------------------
  lab.reset = async (seed, mode, longest) => {
    core.EPISODE_MAX_TIME = 1e9;
    core.endEpisode(0);
    if (window.jQuery) { jQuery.fx.stop && jQuery(':animated').finish(); if (jQuery.resetUniqueId) jQuery.resetUniqueId(); }
    if (document.activeElement && document.activeElement !== document.body) document.activeElement.blur();
    for (const scrolled of document.querySelectorAll('*')) if (scrolled.scrollTop) scrolled.scrollTop = 0;
    lab.copied = '';
    WOB_EPISODE_ID = 0;  // it is written into the html
    for (const marked of document.querySelectorAll('[data-wob_ref], [data-tampered]'))
      for (const name of ['wob_ref', 'wob_eps', 'tampered']) delete marked.dataset[name];
    Math.seedrandom(seed);
    core.setDataMode(mode);
    core.startEpisodeReal();
    const until = performance.now() + longest;
    while (!WOB_TASK_READY) {
      if (performance.now() > until) throw new Error('the task is not ready');
      await new Promise((done) => setLater(done, 5));
    }
    await pictures();
    await lab.quiet(longest);
    return lab.observe();
  };

  lab.state = () => ({ done: WOB_DONE_GLOBAL, raw: WOB_RAW_REWARD_GLOBAL, reason: WOB_REWARD_REASON });

  lab.settled = async (longest, last) => {
    await lab.quiet(longest);
    return { over: WOB_DONE_GLOBAL, seen: last || WOB_DONE_GLOBAL ? lab.observe() : null };
  };

  lab.observe = () => {
    const told = core.getUtterance();
    lab.goal = typeof told === 'string' ? told : told.utterance;
    return {
      ...lab.state(),
      utterance: lab.goal,
      fields: typeof told === 'string' ? null : told.fields,
      ...lab.seen(),
    };
  };

  lab.seen = () => {
    if (window === window.top) core.getDOMInfo();  // a frame's elements are numbered by the page around it
    return { html: html(), elements: elements() };
  };

  const html = () => {
    const beside = [...document.body.children].filter((child) => !OUTSIDE.includes(child.id));
    const wrap = document.getElementById('wrap');
    return { wrap: wrap ? wrap.outerHTML : document.body.outerHTML, beside: beside.map((child) => child.outerHTML) };
  };

  // -- elements: what can be acted on, and what can be read ------------------------------------------------------------
  const CLICKABLE = 'a,button,input,select,option,textarea,label,summary,[onclick],[role=button],[role=tab],[tabindex]';
  const squeezed = (text) => text.replace(/\s+/g, ' ').trim();
  const sized = (element) => getComputedStyle(element).fontSize !== '0px';
  const own = (element) => sized(element)
    ? squeezed([...element.childNodes].filter((one) => one instanceof Text).map((one) => one.data).join(' ')) : '';
  // innerText without what is drawn at no size, as a covered card's value is.
  const words = (element) => {
    const said = squeezed(element.innerText === undefined ? element.textContent : element.innerText);
    if (!said || [element, ...element.querySelectorAll('*')].every(sized)) return said;
    const walk = document.createTreeWalker(element, NodeFilter.SHOW_TEXT), drawn = [];
    while (walk.nextNode()) {
      const around = walk.currentNode.parentElement;
      if (sized(around) && around.checkVisibility({ visibilityProperty: true })) drawn.push(walk.currentNode.data);
    }
    return squeezed(drawn.join(' '));
  };
  const points = (element) => element.tagName === 'OPTION' ? false
    : element.matches(CLICKABLE) || getComputedStyle(element).cursor === 'pointer';

  const elements = () => {
    const found = [];
    for (const element of document.body.querySelectorAll('[data-wob_ref]')) {
      if (element.closest('#query')) continue;
      const rect = element.getBoundingClientRect(), style = getComputedStyle(element);
      const acts = points(element) || element instanceof SVGElement;
      const text = own(element);
      if (!acts && !text && !element.onclick && !painted(element, style)) continue;
      found.push({
        ref: +element.dataset.wob_ref,
        tag: element.tagName.toLowerCase(),
        kind: element instanceof HTMLInputElement ? element.type : '',
        text: (element instanceof HTMLSelectElement ? '' : words(element)).slice(0, 200),
        value: String(['checkbox', 'radio'].includes(element.type) ? element.checked : element.value ?? '').slice(0, 200),
        id: element.id || '', classes: String(element.getAttribute('class') || '').slice(0, 100),
        label: label(element).slice(0, 100),
        options: element instanceof HTMLSelectElement ? [...element.options].map((one) => one.text.trim()) : [],
        left: rect.left, top: rect.top, width: rect.width, height: rect.height,
        chosen: element instanceof HTMLSelectElement ? [...element.selectedOptions].map((one) => one.text.trim()) : [],
        controls: element instanceof HTMLLabelElement && element.control ? +(element.control.dataset.wob_ref || 0) : 0,
        colour: element instanceof SVGElement ? style.fill : style.backgroundColor, ink: style.color,
        frame: parseFloat(style.borderTopWidth) > 0 ? style.borderTopColor : '',
        focused: document.activeElement === element,
        clickable: acts,
        visible: aim(element).point !== null,
      });
    }
    return found;
  };

  const label = (element) => {
    if (element.labels && element.labels.length) return words(element.labels[0]);
    return element.placeholder || element.title || element.getAttribute('aria-label') || element.alt || before(element);
  };

  // What stands before a field names it where the page does not say so.
  const FIELD = 'textarea,select,input:not([type=submit],[type=button],[type=checkbox],[type=radio])';
  const NAMES = 'label,span,div,b,th,td,dt';
  const before = (element) => {
    if (!element.matches(FIELD)) return '';
    const one = element.previousElementSibling
      || (element.parentElement.matches('td,dd,div,span') ? element.parentElement.previousElementSibling : null);
    const names = one && one.matches(NAMES) && !one.closest('#query') && !one.children.length && one.getClientRects().length;
    const said = names ? words(one) : '';
    return said.length <= 40 ? said : '';
  };

  // A patch of colour or a frame with nothing in it.
  const painted = (element, style) => !element.children.length
    && (!/, 0\)$|^transparent$/.test(style.backgroundColor) || parseFloat(style.borderTopWidth) > 0);

  // -- aiming: a point of an element that is on top --------------------------------------------------------------------
  const GRID = [0.5, 0.2, 0.8, 0.05, 0.95];
  const aim = (element) => {
    const rects = [...element.getClientRects()].filter((rect) => rect.width > 0 && rect.height > 0);
    const style = getComputedStyle(element);
    if (!rects.length || style.visibility !== 'visible') return { point: null, why: 'hidden' };
    let over = null;
    for (const rect of rects) for (const down of GRID) for (const across of GRID) {
      const x = rect.left + rect.width * across, y = rect.top + rect.height * down;
      const hit = document.elementFromPoint(x, y);
      if (hit === null) continue;
      if (hit === element || element.contains(hit)) return { point: [x, y], why: '' };
      over = over || hit;
    }
    if (over === null) return { point: null, why: 'outside' };
    return { point: null, why: 'covered by ' + named(over) };
  };
  const named = (element) => '<' + element.tagName.toLowerCase() + (element.id ? ' id=' + element.id : '') + '>';

  const target = (where) => typeof where === 'number'
    ? [...document.querySelectorAll('[data-wob_ref="' + where + '"]')]
    : select(where);
  const select = (xpath) => {
    const found = document.evaluate(xpath, document, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null), all = [];
    for (let n = 0; n < found.snapshotLength; n++) if (found.snapshotItem(n) instanceof Element) all.push(found.snapshotItem(n));
    return all;
  };
  lab.target = target;
  lab.select = select;

  // Each match of an xpath, or the element of a number, with a point on it that is on top, scrolled into sight.
  let matched = [];
  lab.aim = (where, text) => {
    try { matched = target(where); } catch (fault) { return { fault: 'invalid xpath' }; }
    const told = typeof where === 'number' && matched.length ? lab.told(matched[0], text) : null;
    return { matches: matched.map((element, n) => lab.again(n)), told };
  };
  // The same of one of them, now: what was done to those before it may have moved it.
  lab.again = (n) => {
    const element = matched[n];
    let aimed = aim(element);
    if (aimed.why === 'outside' || aimed.why.startsWith('covered')) {
      element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      aimed = aim(element);
    }
    const frame = window.frameElement ? window.frameElement.getBoundingClientRect() : { left: 0, top: 0 };
    const point = aimed.point && [aimed.point[0] + frame.left, aimed.point[1] + frame.top];
    return { ...aimed, point, n, tag: element.tagName.toLowerCase(), name: named(element) };
  };

  lab.option = (element, text) => {
    const list = element.closest('select') || element.querySelector('select');
    const wanted = (text === null ? element.text : text)?.trim();
    return { list, chosen: list && [...list.options].find((one) => one.text.trim() === wanted) };
  };

  // An option is chosen by script: its list is drawn by no page without a screen.
  lab.choose = (n, text) => {
    const { list, chosen } = lab.option(matched[n], text);
    if (!list) return 'no list';
    if (!chosen) return 'no option of that text';
    list.focus();
    if (list.multiple) chosen.selected = !chosen.selected;
    else list.value = chosen.value, chosen.selected = true;
    for (const kind of ['input', 'change']) list.dispatchEvent(new Event(kind, { bubbles: true }));
    return '';
  };

  lab.press = (n) => matched[n].click();

  // -- a clipboard a page: the browser's own is shared by all of them ---------------------------------------------------
  const text = (element) => {
    if (element && element.selectionStart !== undefined && element.selectionStart !== null)
      return element.value.slice(element.selectionStart, element.selectionEnd);
    return String(getSelection());
  };
  for (const kind of ['copy', 'cut', 'paste']) document.addEventListener(kind, (event) => {
    event.preventDefault();
    if (kind === 'paste') document.execCommand('insertText', false, lab.copied);
    else {
      lab.copied = text(document.activeElement);
      if (kind === 'cut') document.execCommand('delete');
    }
  });
})();
