// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title The escrow that holds preauthorized ERC-20 tokens
/// @notice Tokens of a sender are locked under fixed terms. From there they can go to two places only: to the
/// receiver of the terms, at most `hold` of them and only before `expiresAt`, or back to the sender.
/// @dev A preauth id is used once, ever, so sending any operation twice is harmless. Amounts are base units of the
/// token, times are Unix seconds.
interface IPreauthEscrow {
    /// @notice What a payer consents to.
    /// @param sender The payer; receives everything that is not settled.
    /// @param receiver The only account a settlement can pay.
    /// @param token The ERC-20 token that is locked.
    /// @param hold Base units that are locked: the authorized amount and the allowed tip.
    /// @param expiresAt Unix second from which on nothing can be settled and anyone can release the hold.
    /// @param preauthId `keccak256(abi.encode(tenantUuid, invoiceId))`; names the preauthorization on chain.
    struct Terms {
        address sender;
        address receiver;
        address token;
        uint96 hold;
        uint40 expiresAt;
        bytes32 preauthId;
    }

    /// @notice Where a preauth id stands. `None` means never used.
    enum Status {
        None,
        Open,
        Settled,
        Cancelled,
        Expired
    }

    /// @notice A call of a batch that failed and changed nothing.
    /// @param index The position of the call in its batch.
    /// @param reason The revert data, cut to 132 bytes.
    struct Failure {
        uint256 index;
        bytes reason;
    }

    // ------------------------------------------------------------------ events

    /// @notice The hold is locked.
    event Authorized(
        bytes32 indexed preauthId,
        address indexed sender,
        address indexed receiver,
        address token,
        uint96 hold,
        uint40 expiresAt
    );

    /// @notice `amount` went to the receiver and the rest to the sender (or to his claim); the preauth is closed.
    event Settled(bytes32 indexed preauthId, uint96 amount);

    /// @notice An operator or the receiver gave everything back to the sender (or to his claim); the preauth is closed.
    event Cancelled(bytes32 indexed preauthId);

    /// @notice Everything went back to the sender (or to his claim) at or after expiry; the preauth is closed.
    event Expired(bytes32 indexed preauthId);

    /// @notice The token refused the refund; the sender can `claim` it as soon as the token lets him.
    event RefundDeferred(bytes32 indexed preauthId, address indexed sender, address indexed token, uint96 amount);

    /// @notice Deferred refunds were paid to their sender.
    event Claimed(address indexed sender, address indexed token, uint256 amount);

    /// @notice A call of a batch failed and changed nothing.
    /// @param preauthId The preauth id of the call's terms.
    /// @param index The position of the call in its batch.
    /// @param operation The first byte of the raw call.
    /// @param reason The revert data, cut to 132 bytes.
    event CallFailed(bytes32 indexed preauthId, uint256 index, uint8 operation, bytes reason);

    /// @notice A sender demands signatures from now on, or no longer does.
    event SignedConsentRequired(address indexed sender, bool required);

    event ReceiverRegistered(address indexed receiver, uint40 activeFrom);
    event ReceiverRemoved(address indexed receiver);
    event OperatorSet(address indexed operator, bool allowed);
    event GuardianSet(address indexed guardian);

    // ------------------------------------------------------------------ errors

    /// @notice The caller is no operator (and, for `cancel`, not the receiver of the terms either).
    error NotOperator(address caller);
    /// @notice The caller is neither admin nor guardian.
    error NotGuardian(address caller);
    /// @notice The preauth id was used before.
    error AlreadyUsed(bytes32 preauthId, Status status);
    /// @notice There is no open hold under this preauth id.
    error NotOpen(bytes32 preauthId, Status status);
    /// @notice A hold is open under this preauth id, but under other terms.
    error TermsMismatch(bytes32 preauthId);
    /// @notice Too late: `settle` ends at `expiresAt`.
    error PreauthExpired(bytes32 preauthId, uint40 expiresAt);
    /// @notice Too early: `expire` begins at `expiresAt`.
    error NotExpired(bytes32 preauthId, uint40 expiresAt);
    /// @notice `expiresAt` is not after now, or further away than `MAX_HOLD`.
    error InvalidExpiry(uint40 expiresAt);
    /// @notice The hold or the amount is zero, or the amount is above the hold.
    error InvalidAmount(uint96 amount);
    /// @notice Sender or receiver is zero, the escrow, the token, or both are the same.
    error InvalidParty(address party);
    /// @notice The consent has an unknown kind or form, or does not carry the sender's signature over these terms. What
    /// the token (kind 3) or Permit2 (kind 4) refuses is refused in their own words.
    error InvalidConsent();
    /// @notice The sender demands signed consent; the allowance alone does not count.
    error ConsentRequired(address sender);
    /// @notice Consent by allowance needs a receiver that is registered and past its delay.
    error ReceiverNotRegistered(address receiver);
    /// @notice The token moved another amount than asked (fee on transfer, rebasing).
    error InexactTransfer(uint256 expected, uint256 received);
    /// @notice Nothing to claim.
    error NothingToClaim(address sender, address token);
    /// @notice The gas left does not cover the fixed gas of a step; nothing may be decided by running out of it.
    error InsufficientGas(uint256 required);
    /// @notice The raw call at `index` of a batch (0 where it is alone) is none of the four operations, is too short to
    /// hold terms, or does not end where it should.
    error InvalidCall(uint256 index);
    /// @notice A token, a wallet or its factory called back into the escrow.
    error Reentered();
    /// @notice A setting is out of its bounds (zero maximum hold, a receiver delay beyond a year, a Permit2 without
    /// code, no admin).
    error InvalidSetting();

    // -------------------------------------------------------------- operations

    /// @notice Lock `terms.hold` of the sender's tokens. Operators only, not while paused.
    /// @param consent Empty: the allowance is the consent; the receiver must be registered and the sender must not
    /// demand signatures. Otherwise one byte of kind and its payload, in which the sender signed for these terms:
    ///
    /// - `01 ++ signature`: the sender's EIP-712 signature over the terms; takes an allowance.
    /// - `02 ++ uint16 length ++ permitSignature ++ signature`: an ERC-2612 permit of the hold to the escrow until
    ///   `expiresAt`, whose failure is ignored, then as kind 1.
    /// - `03 ++ signature`: ERC-3009 `receiveWithAuthorization` of the hold by the escrow from 0 to `expiresAt`; the nonce
    ///   is `hashTerms(terms)`. Needs no allowance.
    /// - `04 ++ bytes32 nonce ++ signature`: Permit2 `permitWitnessTransferFrom` of the hold to the escrow until
    ///   `expiresAt`; the witness is the terms. Takes an allowance for Permit2.
    ///
    /// A signature is ECDSA (65 bytes: r, s, v), or what the sender's wallet accepts by ERC-1271; either may be wrapped
    /// by ERC-6492, which deploys a wallet that is not there yet. A permit or authorization of 65 bytes is handed to
    /// the token as v, r, s, any other in one piece.
    function authorize(Terms calldata terms, bytes calldata consent) external;

    /// @notice Pay `amount` to the receiver, return the rest to the sender, close. Operators only, before expiry.
    function settle(Terms calldata terms, uint96 amount) external;

    /// @notice Return everything to the sender, close. Operators and the receiver of the terms.
    function cancel(Terms calldata terms) external;

    /// @notice Return everything to the sender, close. Anyone, from `expiresAt` on.
    function expire(Terms calldata terms) external;

    /// @notice Pay a sender the refunds his token refused earlier. Anyone; the sender alone receives.
    function claim(address sender, address token) external;

    /// @notice One of the four operations, told in as few bytes as it takes. They follow the selector:
    ///
    /// `uint8 operation, address sender, address receiver, address token, uint96 hold, uint40 expiresAt, bytes32 preauthId`,
    /// packed, and then the consent of an authorization or the `uint96 amount` of a settlement.
    function performRaw() external;

    /// @notice Run several raw calls; each succeeds or fails alone.
    /// @dev The caller's rights are those of each operation. When the gas left cannot cover `gasPerCall` for a call,
    /// the whole batch reverts with `InsufficientGas`: running out of gas never looks like a call's failure.
    /// @param calls Raw calls, each after its length in two bytes.
    /// @param gasPerCall Gas each call may use at most.
    /// @return failures Those that failed, in their order.
    function batch(bytes calldata calls, uint256 gasPerCall) external returns (Failure[] memory failures);

    /// @notice From now on (not) only a signature of the caller counts as his consent.
    function requireSignedConsent(bool required) external;

    // ---------------------------------------------------------- administration

    /// @notice Allow a receiver for consent by allowance, effective after `RECEIVER_DELAY`. Admin only.
    function registerReceiver(address receiver) external;
    /// @notice Withdraw a receiver at once; open holds are not touched. Admin only.
    function removeReceiver(address receiver) external;
    /// @notice Allow or revoke an operator. Admin; the guardian may revoke.
    function setOperator(address operator, bool allowed) external;
    /// @notice Name the guardian, zero for none. Admin only.
    function setGuardian(address newGuardian) external;
    /// @notice Stop new authorizations. Admin and guardian. Nothing else can be stopped by anyone.
    function pause() external;
    /// @notice Admit authorizations again. Admin only.
    function unpause() external;

    // -------------------------------------------------------------------- views

    // slither-disable-start naming-convention: constants have capitals, and so have their getters.
    /// @notice Longest time from now to `expiresAt` at authorization, in seconds.
    function MAX_HOLD() external view returns (uint40);
    /// @notice Seconds between the registration of a receiver and its effect.
    function RECEIVER_DELAY() external view returns (uint40);
    /// @notice Gas that a refund's token transfer is given.
    function REFUND_GAS() external view returns (uint256);
    /// @notice The Permit2 that consent of kind 4 goes through; zero: there is none, and kind 4 is refused.
    function PERMIT2() external view returns (address);
    // slither-disable-end naming-convention
    function statusOf(bytes32 preauthId) external view returns (Status);
    /// @notice The storage word of a preauth: zero, the hash of its terms while open, or a small constant once closed.
    function preauths(bytes32 preauthId) external view returns (bytes32);
    /// @notice The EIP-712 struct hash of the terms, as stored while the hold is open.
    function hashTerms(Terms calldata terms) external view returns (bytes32);
    /// @notice The EIP-712 digest a sender signs to consent to the terms.
    function consentDigest(Terms calldata terms) external view returns (bytes32);
    function claimable(address sender, address token) external view returns (uint256);
    function isOperator(address account) external view returns (bool);
    function guardian() external view returns (address);
    /// @notice Unix second from which on consent by allowance may name this receiver; zero when not registered.
    function receiverActiveFrom(address receiver) external view returns (uint40);
    function signedConsentRequired(address sender) external view returns (bool);
}
