// The chain that the stories are told on: as like anvil's as Hardhat's node can be, and with mainnet's rules where anvil has
// none (the gas a transaction may use is capped).
const { extendProvider } = require("hardhat/config");
const { Reorganizable } = require("./reorganizable.js");

const blockTime = process.env.BLOCK_TIME;
const atOnce = blockTime === "at once";

extendProvider(async (provider) => {
  const chain = new Reorganizable(provider);
  chain.mineEvery(atOnce ? 0 : Number(blockTime) * 1000);
  return chain;
});

module.exports = {
  solidity: "0.8.28",
  networks: {
    hardhat: {
      accounts: { count: 40 },
      // Quick blocks must not make the chain's clock run ahead of the wall's.
      allowBlocksWithSameTimestamp: true,
      blockGasLimit: 30_000_000,
      loggingEnabled: false,
      mining: { auto: atOnce, interval: 0 },
    },
  },
};
