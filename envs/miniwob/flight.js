// The flight tasks: what is acted on stands in a frame, where this and page.js are evaluated, too.
(() => {
  'use strict';
  if (window !== window.top) return;
  const NOTHING = { html: { wrap: '', beside: [] }, elements: [] };

  // The frame's own, as long as it shows the task.
  const inner = () => {
    try {
      const child = core.flightChildWindow();
      return child.$miniwob && child.location.pathname.endsWith('/index.html') ? child.lab : null;
    } catch (fault) { return null; }  // it went to another site
  };
  const nothing = { aim: () => ({ matches: [], told: null }), target: () => [], select: () => [] };
  for (const name of ['aim', 'again', 'press', 'choose', 'target', 'select'])
    lab[name] = (...given) => (inner() || nothing)[name](...given);

  lab.seen = () => {
    const frame = inner();
    if (!frame) return NOTHING;
    core.getDOMInfo();
    frame.goal = lab.goal;
    return frame.seen();
  };
  const observe = lab.observe, quiet = lab.quiet, state = lab.state;
  lab.state = () => {  // the page itself does not notice a site that it may not look at
    if (WOB_TASK_READY && !WOB_DONE_GLOBAL && !inner()) core.endEpisode(-1, false, 'Navigated away');
    return state();
  };
  lab.observe = () => {
    const seen = observe();
    return { ...seen, fields: JSON.parse(seen.utterance) };
  };
  lab.quiet = (longest) => Promise.all([quiet(longest), inner() ? inner().quiet(longest) : null]).then(() => null);
})();
