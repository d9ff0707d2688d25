// What a sender signs, in each kind of consent.
import { concat, hashStruct, numberToHex } from "viem";
import { permit2 } from "./stage.mjs";

const field = (type, name) => ({ name, type });
const TERMS = [
  field("address", "sender"),
  field("address", "receiver"),
  field("address", "token"),
  field("uint96", "hold"),
  field("uint40", "expiresAt"),
  field("bytes32", "preauthId"),
];
const PERMIT = [
  field("address", "owner"),
  field("address", "spender"),
  field("uint256", "value"),
  field("uint256", "nonce"),
  field("uint256", "deadline"),
];
const RECEIVE = [
  field("address", "from"),
  field("address", "to"),
  field("uint256", "value"),
  field("uint256", "validAfter"),
  field("uint256", "validBefore"),
  field("bytes32", "nonce"),
];
const PERMIT2_TRANSFER = [
  field("TokenPermissions", "permitted"),
  field("address", "spender"),
  field("uint256", "nonce"),
  field("uint256", "deadline"),
  field("Terms", "witness"),
];
const PERMITTED = [field("address", "token"), field("uint256", "amount")];

export const hashTerms = (terms) => hashStruct({ data: terms, primaryType: "Terms", types: { Terms: TERMS } });

/** Each kind: the consent of `sender`, an account with a key, to `terms`. */
export function consents({ client, escrow, token }) {
  const chainId = client.chain.id;
  const escrowDomain = { name: "PreauthEscrow", version: "1", chainId, verifyingContract: escrow };
  const tokenDomain = { name: "Demo Dollar", version: "1", chainId, verifyingContract: token };
  const permit2Domain = { name: "Permit2", chainId, verifyingContract: permit2 };
  const permits = new Map();
  let permit2Transfers = 0;

  const signTerms = (sender, terms) =>
    sender.signTypedData({ domain: escrowDomain, types: { Terms: TERMS }, primaryType: "Terms", message: terms });

  return {
    allowance: async () => "0x",
    eip712: async (sender, terms) => concat(["0x01", await signTerms(sender, terms)]),
    erc2612: async (sender, terms) => {
      const nonce = permits.get(sender.address) ?? 0;
      permits.set(sender.address, nonce + 1);
      const { hold: value, expiresAt: deadline } = terms;
      const permit = await sender.signTypedData({
        domain: tokenDomain,
        types: { Permit: PERMIT },
        primaryType: "Permit",
        message: { owner: sender.address, spender: escrow, value, nonce, deadline },
      });
      return concat(["0x02", numberToHex(65, { size: 2 }), permit, await signTerms(sender, terms)]);
    },
    erc3009: async (sender, terms) => {
      const signature = await sender.signTypedData({
        domain: tokenDomain,
        types: { ReceiveWithAuthorization: RECEIVE },
        primaryType: "ReceiveWithAuthorization",
        message: {
          from: sender.address,
          to: escrow,
          value: terms.hold,
          validAfter: 0,
          validBefore: terms.expiresAt,
          nonce: hashTerms(terms),
        },
      });
      return concat(["0x03", signature]);
    },
    // Nonces as wallets take them that draw them at random: each in a word of its own.
    permit2: async (sender, terms) => {
      const nonce = BigInt(hashTerms(terms)) ^ BigInt(++permit2Transfers);
      const signature = await sender.signTypedData({
        domain: permit2Domain,
        types: { PermitWitnessTransferFrom: PERMIT2_TRANSFER, Terms: TERMS, TokenPermissions: PERMITTED },
        primaryType: "PermitWitnessTransferFrom",
        message: {
          permitted: { token, amount: terms.hold },
          spender: escrow,
          nonce,
          deadline: terms.expiresAt,
          witness: terms,
        },
      });
      return concat(["0x04", numberToHex(nonce, { size: 32 }), signature]);
    },
  };
}
