// env.variant=synapse_compat: the rules by which the pages of Synapse's repository differ from the package's.
(() => {
  'use strict';
  const COUNTS = {  // how many mails or posts: instead of core.randi(from, below), both given
    'email-inbox': [[4, 12], [4, 7]], 'email-inbox-nl-turk': [[4, 12], [3, 5]],
    'email-inbox-forward-nl-turk': [[4, 12], [3, 5]], 'social-media': [[5, 10], [3, 5]],
    'social-media-some': [[6, 12], [3, 7]], 'social-media-all': [[6, 12], [3, 7]],
  };
  const fewer = ([stock, ours]) => {
    const draw = core.randi;
    core.randi = (from, below) => from === stock[0] && below === stock[1] ? draw(...ours) : draw(from, below);
  };
  const afterwards = (change) => {
    const make = window.genProblem;
    window.genProblem = () => { make(); change(); };
  };
  const allOrNothing = () => {
    const end = core.endEpisode;
    core.endEpisode = (reward, ...rest) => end(reward === 1 ? 1 : -1, ...rest);
  };

  const RULES = {
    'click-checkboxes': allOrNothing, 'click-checkboxes-large': allOrNothing, 'click-checkboxes-soft': allOrNothing,
    'click-checkboxes-transfer': allOrNothing,
    'simple-algebra': () => { window.MATH_ACTION = ['+']; },
    'text-transform': () => afterwards(() => {
      const letters = document.getElementById('captcha');
      letters.className = letters.textContent.toLowerCase();
    }),
    'choose-list': () => afterwards(() => {
      const list = document.querySelector('select');
      list.className = [...list.options].map((one) => one.text).join(',');
    }),
    terminal: () => {
      const list = window.showFileContents, remove = window.removeContents;
      window.showFileContents = () => list('ls');
      window.removeContents = (input, wanted) =>
        remove(input.split(/\s+/).filter((word, n) => n === 0 || !word.startsWith('-')).join(' '), wanted);
    },
  };
  document.addEventListener('DOMContentLoaded', () => {
    const task = location.pathname.split('/').pop().replace('.html', '');
    if (task in COUNTS) fewer(COUNTS[task]);
    if (task in RULES) RULES[task]();
  });
})();
