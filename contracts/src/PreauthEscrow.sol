// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {IPreauthEscrow} from "./interfaces/IPreauthEscrow.sol";

/// @title PreauthEscrow
/// @notice See IPreauthEscrow, which holds the words. The admin is the `owner` of Ownable2Step.
/// @dev Order inside a method: checks, effects, event, transfers. A method that moves tokens runs under the lock below.
contract PreauthEscrow is IPreauthEscrow, Ownable2Step, Pausable, EIP712 {
    using SafeERC20 for IERC20;

    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)"
    );

    /// @dev The kind byte of a consent that carries the sender's signature.
    bytes1 private constant CONSENT_SIGNATURE = 0x01;

    /// @dev Room for what runs between the gas check and the call it guards, a cold account (2,600) included.
    uint256 private constant CALL_OVERHEAD = 5000;

    /// @dev A call of a batch holds a selector and the six words of its terms at least; the preauth id is the last.
    uint256 private constant MIN_CALL_LENGTH = 4 + 6 * 32;
    uint256 private constant PREAUTH_ID_OFFSET = 4 + 5 * 32;

    /// @dev Revert data that is kept of a failed call: a selector and four words.
    uint256 private constant MAX_REASON_LENGTH = 132;

    uint40 private constant LONGEST_RECEIVER_DELAY = 365 days;

    /// @dev The states of the lock. `BATCH` stands between the calls of a batch, where nothing but the batch's own
    /// delegatecalls runs. Foreign code runs under `BUSY` only, and can enter nothing that moves tokens, nor `batch`.
    uint256 private constant IDLE = 0;
    uint256 private constant BATCH = 1;
    uint256 private constant BUSY = 2;

    uint256 public constant REFUND_GAS = 100_000;
    uint40 public immutable MAX_HOLD;
    uint40 public immutable RECEIVER_DELAY;

    mapping(bytes32 preauthId => bytes32) public preauths;
    mapping(address account => bool) public isOperator;
    mapping(address receiver => uint40) public receiverActiveFrom;
    mapping(address sender => bool) public signedConsentRequired;
    mapping(address sender => mapping(address token => uint256)) public claimable;
    address public guardian;

    uint256 private transient lock;

    /// @dev For the four operations: alone, or as a call of a batch.
    modifier operation() {
        uint256 outer = lock;
        if (outer == BUSY) revert Reentered();
        lock = BUSY;
        _;
        lock = outer;
    }

    /// @dev For what cannot be a call of a batch.
    modifier alone(uint256 state) {
        if (lock != IDLE) revert Reentered();
        lock = state;
        _;
        lock = IDLE;
    }

    modifier onlyOperator() {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
        _;
    }

    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    constructor(address admin, address guardian_, address[] memory operators, uint40 receiverDelay, uint40 maxHold)
        Ownable(admin)
        EIP712("PreauthEscrow", "1")
    {
        if (maxHold == 0 || receiverDelay > LONGEST_RECEIVER_DELAY) revert InvalidSetting();
        MAX_HOLD = maxHold;
        RECEIVER_DELAY = receiverDelay;
        guardian = guardian_;
        emit GuardianSet(guardian_);
        for (uint256 i = 0; i < operators.length; ++i) {
            isOperator[operators[i]] = true;
            emit OperatorSet(operators[i], true);
        }
    }

    // -------------------------------------------------------------- operations

    function authorize(Terms calldata terms, bytes calldata consent) external operation onlyOperator {
        // Before everything else that can fail: an authorization sent twice always learns that it was.
        bytes32 word = preauths[terms.preauthId];
        if (word != 0) revert AlreadyUsed(terms.preauthId, _status(word));
        _requireNotPaused();
        _checkBounds(terms);
        bytes32 termsHash = hashTerms(terms);
        _checkConsent(terms, termsHash, consent);

        preauths[terms.preauthId] = termsHash;
        emit Authorized(terms.preauthId, terms.sender, terms.receiver, terms.token, terms.hold, terms.expiresAt);

        IERC20 token = IERC20(terms.token);
        uint256 balanceBefore = token.balanceOf(address(this));
        token.safeTransferFrom(terms.sender, address(this), terms.hold);
        uint256 received;
        unchecked {
            // A token that lowers the balance wraps around, which is as wrong as any other amount.
            received = token.balanceOf(address(this)) - balanceBefore;
        }
        if (received != terms.hold) revert InexactTransfer(terms.hold, received);
    }

    function settle(Terms calldata terms, uint96 amount) external operation onlyOperator {
        _checkOpen(terms);
        if (block.timestamp >= terms.expiresAt) revert PreauthExpired(terms.preauthId, terms.expiresAt);
        if (amount == 0 || amount > terms.hold) revert InvalidAmount(amount);
        uint96 refund = terms.hold - amount;

        _close(terms, Status.Settled);
        emit Settled(terms.preauthId, amount, refund);

        IERC20(terms.token).safeTransfer(terms.receiver, amount);
        if (refund != 0) _refund(terms, refund);
    }

    function cancel(Terms calldata terms) external operation {
        // Terms that name the caller as receiver but were never locked are refused by the next check.
        if (msg.sender != terms.receiver && !isOperator[msg.sender]) revert NotOperator(msg.sender);
        _checkOpen(terms);

        _close(terms, Status.Cancelled);
        emit Cancelled(terms.preauthId, terms.hold);

        _refund(terms, terms.hold);
    }

    function expire(Terms calldata terms) external operation {
        _checkOpen(terms);
        if (block.timestamp < terms.expiresAt) revert NotExpired(terms.preauthId, terms.expiresAt);

        _close(terms, Status.Expired);
        emit Expired(terms.preauthId, terms.hold);

        _refund(terms, terms.hold);
    }

    function claim(address sender, address token) external alone(BUSY) {
        uint256 amount = claimable[sender][token];
        if (amount == 0) revert NothingToClaim(sender, token);

        delete claimable[sender][token];
        emit Claimed(sender, token, amount);

        IERC20(token).safeTransfer(sender, amount);
    }

    function batch(bytes[] calldata calls, uint256 gasPerCall)
        external
        alone(BATCH)
        returns (CallResult[] memory results)
    {
        results = new CallResult[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            bytes calldata data = calls[i];
            if (data.length < MIN_CALL_LENGTH || !_isOperation(bytes4(data))) revert InvalidCall(i);
            if (_delegateToSelf(data, gasPerCall)) {
                results[i].success = true;
            } else {
                bytes memory reason = _boundedReturnData();
                results[i].reason = reason;
                emit CallFailed(bytes32(data[PREAUTH_ID_OFFSET:]), i, bytes4(data), reason);
            }
        }
    }

    function requireSignedConsent(bool required) external {
        signedConsentRequired[msg.sender] = required;
        emit SignedConsentRequired(msg.sender, required);
    }

    // ---------------------------------------------------------- administration

    /// @dev Registering again changes nothing, so it cannot switch off a receiver for another delay by mistake.
    function registerReceiver(address receiver) external onlyOwner {
        if (receiver == address(0)) revert InvalidParty(receiver);
        if (receiverActiveFrom[receiver] != 0) return;
        uint40 activeFrom = uint40(block.timestamp) + RECEIVER_DELAY;
        receiverActiveFrom[receiver] = activeFrom;
        emit ReceiverRegistered(receiver, activeFrom);
    }

    function removeReceiver(address receiver) external onlyOwner {
        delete receiverActiveFrom[receiver];
        emit ReceiverRemoved(receiver);
    }

    function setOperator(address operator, bool allowed) external onlyGuardian {
        if (allowed) _checkOwner();
        isOperator[operator] = allowed;
        emit OperatorSet(operator, allowed);
    }

    function setGuardian(address newGuardian) external onlyOwner {
        guardian = newGuardian;
        emit GuardianSet(newGuardian);
    }

    function pause() external onlyGuardian {
        _pause();
    }

    function unpause() external onlyOwner {
        _unpause();
    }

    /// @dev Without an admin a pause could never end.
    function renounceOwnership() public pure override {
        revert InvalidSetting();
    }

    // -------------------------------------------------------------------- views

    function statusOf(bytes32 preauthId) external view returns (Status) {
        return _status(preauths[preauthId]);
    }

    function hashTerms(Terms calldata terms) public pure returns (bytes32) {
        return keccak256(abi.encode(TERMS_TYPEHASH, terms));
    }

    function consentDigest(Terms calldata terms) external view returns (bytes32) {
        return _hashTypedDataV4(hashTerms(terms));
    }

    // ------------------------------------------------------------------- checks

    function _checkBounds(Terms calldata terms) private view {
        if (terms.hold == 0) revert InvalidAmount(0);
        if (block.timestamp >= terms.expiresAt || terms.expiresAt > block.timestamp + MAX_HOLD) {
            revert InvalidExpiry(terms.expiresAt);
        }
        _checkParty(terms.sender, terms.token);
        _checkParty(terms.receiver, terms.token);
        if (terms.sender == terms.receiver) revert InvalidParty(terms.receiver);
        if (terms.token.code.length == 0) revert InvalidParty(terms.token);
    }

    function _checkParty(address party, address token) private view {
        if (party == address(0) || party == address(this) || party == token) revert InvalidParty(party);
    }

    function _checkConsent(Terms calldata terms, bytes32 termsHash, bytes calldata consent) private view {
        if (consent.length == 0) {
            if (signedConsentRequired[terms.sender]) revert ConsentRequired(terms.sender);
            uint256 activeFrom = receiverActiveFrom[terms.receiver];
            if (activeFrom == 0 || block.timestamp < activeFrom) revert ReceiverNotRegistered(terms.receiver);
        } else if (consent[0] != CONSENT_SIGNATURE || !_isSignedBy(terms.sender, termsHash, consent[1:])) {
            revert InvalidConsent();
        }
    }

    /// @dev ECDSA counts for an account with code too: under EIP-7702 its key still speaks for it.
    function _isSignedBy(address sender, bytes32 termsHash, bytes calldata signature) private view returns (bool) {
        bytes32 digest = _hashTypedDataV4(termsHash);
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == sender) return true;
        return sender.code.length != 0 && SignatureChecker.isValidERC1271SignatureNowCalldata(sender, digest, signature);
    }

    function _checkOpen(Terms calldata terms) private view {
        bytes32 word = preauths[terms.preauthId];
        if (word == hashTerms(terms)) return;
        Status status = _status(word);
        if (status != Status.Open) revert NotOpen(terms.preauthId, status);
        revert TermsMismatch(terms.preauthId);
    }

    function _isOperation(bytes4 selector) private pure returns (bool) {
        return selector == this.authorize.selector || selector == this.settle.selector
            || selector == this.cancel.selector || selector == this.expire.selector;
    }

    /// @dev A call gets at most 63/64 of the gas left, silently. Reverts unless the next call can be given `required`.
    function _checkGas(uint256 required) private view {
        uint256 left = gasleft();
        if (left < CALL_OVERHEAD) revert InsufficientGas(required);
        unchecked {
            left -= CALL_OVERHEAD;
            if (left - left / 64 < required) revert InsufficientGas(required);
        }
    }

    // ------------------------------------------------------------------ effects

    /// @dev An open preauth stores the hash of its terms, a closed one its status: no hash is that small.
    function _status(bytes32 word) private pure returns (Status) {
        if (word == 0) return Status.None;
        return uint256(word) <= uint256(type(Status).max) ? Status(uint256(word)) : Status.Open;
    }

    function _close(Terms calldata terms, Status status) private {
        preauths[terms.preauthId] = bytes32(uint256(status));
    }

    function _refund(Terms calldata terms, uint96 amount) private {
        if (_tryTransfer(terms.token, terms.sender, amount)) return;
        claimable[terms.sender][terms.token] += amount;
        emit RefundDeferred(terms.preauthId, terms.sender, terms.token, amount);
    }

    // -------------------------------------------------------------- guarded calls

    /// @dev A transfer that neither the token can block nor the caller starve: it is given `REFUND_GAS`, no less and
    /// no more. In assembly because Solidity copies all return data, which a token may make as large as it likes.
    function _tryTransfer(address token, address to, uint256 amount) private returns (bool success) {
        bytes memory data = abi.encodeCall(IERC20.transfer, (to, amount));
        _checkGas(REFUND_GAS);
        assembly ("memory-safe") {
            mstore(0x00, 0)
            success := call(REFUND_GAS, token, 0, add(data, 0x20), mload(data), 0x00, 0x20)
            // As SafeERC20: true, or no answer from an account that has code.
            let answered :=
                or(
                    and(gt(returndatasize(), 0x1f), eq(mload(0x00), 1)),
                    and(iszero(returndatasize()), iszero(iszero(extcodesize(token))))
                )
            success := and(success, answered)
        }
    }

    /// @dev In assembly for the same reason, and to use one piece of memory for all calls of a batch: it lies behind
    /// the free memory pointer, which does not move.
    function _delegateToSelf(bytes calldata data, uint256 gasPerCall) private returns (bool success) {
        assembly ("memory-safe") {
            calldatacopy(mload(0x40), data.offset, data.length)
        }
        _checkGas(gasPerCall);
        assembly ("memory-safe") {
            success := delegatecall(gasPerCall, address(), mload(0x40), data.length, 0, 0)
        }
    }

    function _boundedReturnData() private pure returns (bytes memory data) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, MAX_REASON_LENGTH) { size := MAX_REASON_LENGTH }
            data := mload(0x40)
            mstore(data, size)
            returndatacopy(add(data, 0x20), 0, size)
            // A whole number of words, so that what follows stays aligned and the padding is zero.
            mstore(add(add(data, 0x20), size), 0)
            mstore(0x40, and(add(add(data, 0x3f), size), not(0x1f)))
        }
    }
}
