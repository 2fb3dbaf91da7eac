// CommonJS: as an ES module, the class is elsewhere than its types say.
const { default: Sequencer } = require("@jest/test-sequencer");

/**
 * Tests of running systems first. They wait for processes, for up to a minute: one that begins last would be waited
 * for alone. Jest's own order knows only how long a file is, on a clean checkout.
 */
module.exports = class SystemsFirst extends Sequencer {
  async sort(tests) {
    const ordered = await super.sort(tests);
    const ofSystems = ({ path }) => /[/\\]tests[/\\]/.test(path);
    return [...ordered.filter(ofSystems), ...ordered.filter((test) => !ofSystems(test))];
  }
};
