// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

import {Consent} from "./Consent.sol";

/// @title PreauthEscrow
/// @notice See IPreauthEscrow, which holds the words. The admin is the `owner` of Ownable2Step.
/// @dev Order inside a method: checks, effects, event, transfers. What moves tokens is `exclusive`.
contract PreauthEscrow is Consent, Ownable2Step, Pausable {
    using SafeERC20 for IERC20;

    /// @dev Room for what runs between the gas check and the call it guards, a cold account (2,600) included.
    uint256 private constant CALL_OVERHEAD = 5000;

    /// @dev A call of a batch holds a selector and the six words of its terms at least; the preauth id is the last.
    uint256 private constant MIN_CALL_LENGTH = 4 + 6 * 32;
    uint256 private constant PREAUTH_ID_OFFSET = 4 + 5 * 32;

    /// @dev Revert data that is kept of a failed call: a selector and four words.
    uint256 private constant MAX_REASON_LENGTH = 132;

    uint40 private constant LONGEST_RECEIVER_DELAY = 365 days;

    uint256 public constant REFUND_GAS = 100_000;
    uint40 public immutable MAX_HOLD;
    uint40 public immutable RECEIVER_DELAY;

    /// @dev A struct only so that its slot is computed once and handed around.
    struct Record {
        bytes32 word;
    }

    mapping(bytes32 preauthId => Record) public preauths;
    mapping(address account => bool) public isOperator;
    mapping(address receiver => uint40) public receiverActiveFrom;
    mapping(address sender => bool) public signedConsentRequired;
    mapping(address sender => mapping(address token => uint256)) public claimable;
    address public guardian;

    /// @dev One while an operation or a claim runs, and so whenever foreign code does.
    uint256 private transient entered;

    /// @dev Foreign code that is called by an operation can enter nothing that moves tokens.
    modifier exclusive() {
        if (entered != 0) revert Reentered();
        entered = 1;
        _;
        entered = 0;
    }

    /// @dev For `batch`: its calls take the lock themselves, and between them no foreign code runs. Entered from within
    /// an operation it would tell of failures (`CallFailed`) in a transaction that is not its caller's.
    modifier notEntered() {
        if (entered != 0) revert Reentered();
        _;
    }

    modifier onlyOperator() {
        if (!isOperator[msg.sender]) revert NotOperator(msg.sender);
        _;
    }

    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    constructor(
        address admin,
        address guardian_,
        address[] memory operators,
        uint40 receiverDelay,
        uint40 maxHold,
        address permit2
    ) Ownable(admin) Consent(permit2) {
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

    function authorize(Terms calldata terms, bytes calldata consent) external exclusive onlyOperator {
        // Each field is read once: a read of a calldata field checks it anew.
        (bytes32 preauthId, address sender, address receiver) = (terms.preauthId, terms.sender, terms.receiver);
        (IERC20 token, uint96 hold, uint40 expiresAt) = (IERC20(terms.token), terms.hold, terms.expiresAt);

        // Before everything else that can fail: an authorization sent twice always learns that it was.
        Record storage record = preauths[preauthId];
        if (record.word != 0) revert AlreadyUsed(preauthId, _status(record.word));
        _requireNotPaused();
        if (hold == 0) revert InvalidAmount(hold);
        if (expiresAt <= block.timestamp || expiresAt - block.timestamp > MAX_HOLD) revert InvalidExpiry(expiresAt);
        if (sender == address(0) || sender == address(this) || sender == address(token)) revert InvalidParty(sender);
        if (receiver == address(0) || receiver == address(this) || receiver == address(token) || receiver == sender) {
            revert InvalidParty(receiver);
        }
        if (consent.length == 0) _checkAllowanceCounts(sender, receiver);

        bytes32 termsHash = hashTerms(terms);
        record.word = termsHash;
        emit Authorized(preauthId, sender, receiver, address(token), hold, expiresAt);

        uint256 balanceBefore = _balance(token);
        if (consent.length == 0) token.safeTransferFrom(sender, address(this), hold);
        else _pullSigned(terms, termsHash, consent);
        uint256 balanceAfter = _balance(token);
        unchecked {
            // A token that lowers the balance wraps around, which is as wrong as any other amount.
            uint256 received = balanceAfter - balanceBefore;
            if (received != hold) revert InexactTransfer(hold, received);
        }
    }

    function settle(Terms calldata terms, uint96 amount) external exclusive onlyOperator {
        (bytes32 preauthId, uint96 hold, uint40 expiresAt) = (terms.preauthId, terms.hold, terms.expiresAt);
        Record storage record = _openRecord(terms);
        if (block.timestamp >= expiresAt) revert PreauthExpired(preauthId, expiresAt);
        if (amount == 0 || amount > hold) revert InvalidAmount(amount);
        uint96 refund;
        unchecked {
            refund = hold - amount;
        }

        _close(record, Status.Settled);
        emit Settled(preauthId, amount, refund);

        IERC20(terms.token).safeTransfer(terms.receiver, amount);
        if (refund != 0) _refund(terms, refund);
    }

    function cancel(Terms calldata terms) external exclusive {
        // Terms that name the caller as receiver but were never locked are refused by the next check.
        if (msg.sender != terms.receiver && !isOperator[msg.sender]) revert NotOperator(msg.sender);
        Record storage record = _openRecord(terms);

        _close(record, Status.Cancelled);
        emit Cancelled(terms.preauthId, terms.hold);

        _refund(terms, terms.hold);
    }

    function expire(Terms calldata terms) external exclusive {
        Record storage record = _openRecord(terms);
        if (block.timestamp < terms.expiresAt) revert NotExpired(terms.preauthId, terms.expiresAt);

        _close(record, Status.Expired);
        emit Expired(terms.preauthId, terms.hold);

        _refund(terms, terms.hold);
    }

    function claim(address sender, address token) external exclusive {
        uint256 amount = claimable[sender][token];
        if (amount == 0) revert NothingToClaim(sender, token);

        delete claimable[sender][token];
        emit Claimed(sender, token, amount);

        IERC20(token).safeTransfer(sender, amount);
    }

    function batch(bytes[] calldata calls, uint256 gasPerCall)
        external
        notEntered
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
        return _status(preauths[preauthId].word);
    }

    // ------------------------------------------------------------------- checks

    /// @dev Without a signature: the receiver is one the admin vouches for, and the sender has not forbidden it.
    function _checkAllowanceCounts(address sender, address receiver) private view {
        if (signedConsentRequired[sender]) revert ConsentRequired(sender);
        uint256 activeFrom = receiverActiveFrom[receiver];
        if (activeFrom == 0 || block.timestamp < activeFrom) revert ReceiverNotRegistered(receiver);
    }

    function _openRecord(Terms calldata terms) private view returns (Record storage record) {
        bytes32 preauthId = terms.preauthId;
        record = preauths[preauthId];
        if (record.word != hashTerms(terms)) {
            Status status = _status(record.word);
            if (status == Status.Open) revert TermsMismatch(preauthId);
            revert NotOpen(preauthId, status);
        }
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

    function _close(Record storage record, Status status) private {
        record.word = bytes32(uint256(status));
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
        bytes4 selector = IERC20.transfer.selector;
        _checkGas(REFUND_GAS);
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(data, selector)
            mstore(add(data, 0x04), to)
            mstore(add(data, 0x24), amount)
            mstore(0x00, 0)
            success := call(REFUND_GAS, token, 0, data, 0x44, 0x00, 0x20)
            // As SafeERC20: the answer is true (a shorter one leaves zeros), or there is none and the account has code.
            switch returndatasize()
            case 0 { success := and(success, iszero(iszero(extcodesize(token)))) }
            default { success := and(success, eq(mload(0x00), 1)) }
        }
    }

    /// @dev In assembly for the same reason, and to use one piece of memory for all calls of a batch: it lies behind
    /// the free memory pointer, which does not move (`_checkGas` writes memory only to revert).
    function _delegateToSelf(bytes calldata data, uint256 gasPerCall) private returns (bool success) {
        assembly ("memory-safe") {
            calldatacopy(mload(0x40), data.offset, data.length)
        }
        _checkGas(gasPerCall);
        assembly ("memory-safe") {
            success := delegatecall(gasPerCall, address(), mload(0x40), data.length, 0, 0)
        }
    }

    /// @dev In assembly for a named error where a decoder would revert without one, and for gas.
    function _balance(IERC20 token) private view returns (uint256 amount) {
        bytes4 selector = IERC20.balanceOf.selector;
        bool success;
        assembly ("memory-safe") {
            mstore(0x00, selector)
            mstore(0x04, address())
            success := staticcall(gas(), token, 0x00, 0x24, 0x00, 0x20)
            success := and(success, gt(returndatasize(), 0x1f))
            amount := mload(0x00)
        }
        if (!success) revert SafeERC20.SafeERC20FailedOperation(address(token));
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
