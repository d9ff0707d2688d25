// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {EIP712} from "@openzeppelin/contracts/utils/cryptography/EIP712.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

import {WalletDeployer} from "./WalletDeployer.sol";
import {IPreauthEscrow} from "./interfaces/IPreauthEscrow.sol";
import {IERC7597, IERC7598, IPermit2} from "./interfaces/SignedTransfers.sol";

/// @title Consent by signature
/// @notice What a payer signs, in each of the kinds, and how his tokens are then taken. IPreauthEscrow has the words.
/// @dev Whatever the kind, one signature of the sender covers the escrow, the chain and each field of the terms. Who
/// checks it: this contract for the kinds 1 and 2, the token for kind 3, Permit2 for kind 4. A token that checks badly
/// or not at all can only give away what is held in that token, which its code can do anyway; and whoever calls
/// `_pullSigned` measures what came.
abstract contract Consent is IPreauthEscrow, EIP712 {
    using SafeERC20 for IERC20;

    bytes1 private constant BY_SIGNATURE = 0x01;
    bytes1 private constant BY_PERMIT = 0x02;
    bytes1 private constant BY_AUTHORIZATION = 0x03;
    bytes1 private constant BY_PERMIT2 = 0x04;

    bytes32 private constant TERMS_TYPEHASH = keccak256(
        "Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)"
    );

    /// @dev The end of the type that is signed for Permit2, which puts its own part before it.
    string private constant WITNESS_TYPE =
        "Terms witness)Terms(address sender,address receiver,address token,uint96 hold,uint40 expiresAt,bytes32 preauthId)TokenPermissions(address token,uint256 amount)";

    /// @dev A signature of a wallet that is not there yet ends with this word (ERC-6492). No ECDSA signature does: its
    /// last byte would have to be 27 or 28.
    bytes32 private constant UNDEPLOYED = 0x6492649264926492649264926492649264926492649264926492649264926492;

    // slither-disable-start naming-convention: constants have capitals, and so have their getters.
    address public immutable PERMIT2;
    WalletDeployer public immutable WALLET_DEPLOYER;
    // slither-disable-end naming-convention

    constructor(address permit2) EIP712("PreauthEscrow", "1") {
        if (permit2 != address(0) && permit2.code.length == 0) revert InvalidSetting();
        PERMIT2 = permit2;
        WALLET_DEPLOYER = new WalletDeployer();
    }

    /// @dev In assembly, which saves each operation some 200 gas: the six words of the terms are their EIP-712 encoding
    /// already.
    function hashTerms(Terms memory terms) public pure returns (bytes32 termsHash) {
        bytes32 typeHash = TERMS_TYPEHASH;
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            let encoded := mload(0x40)
            mstore(encoded, typeHash)
            mcopy(add(encoded, 0x20), terms, 0xc0)
            termsHash := keccak256(encoded, 0xe0)
        }
    }

    function consentDigest(Terms calldata terms) external view returns (bytes32) {
        return _hashTypedDataV4(hashTerms(terms));
    }

    /// @dev Takes the hold from the sender if the consent, which is not empty, is his; else reverts. Runs foreign code.
    function _pullSigned(Terms memory terms, bytes32 termsHash, bytes calldata consent) internal {
        bytes1 kind = consent[0];
        bytes calldata payload = consent[1:];
        if (kind == BY_SIGNATURE) {
            _checkSignature(terms.sender, termsHash, payload);
            // slither-disable-next-line arbitrary-send-erc20: the sender signed for this, which was checked just now.
            IERC20(terms.token).safeTransferFrom(terms.sender, address(this), terms.hold);
        } else if (kind == BY_PERMIT) {
            if (payload.length < 2) revert InvalidConsent();
            uint256 split = 2 + uint256(uint16(bytes2(payload)));
            if (payload.length < split) revert InvalidConsent();
            _tryPermit(terms, payload[2:split]);
            _checkSignature(terms.sender, termsHash, payload[split:]);
            // slither-disable-next-line arbitrary-send-erc20: the sender signed for this, which was checked just now.
            IERC20(terms.token).safeTransferFrom(terms.sender, address(this), terms.hold);
        } else if (kind == BY_AUTHORIZATION) {
            _receiveWithAuthorization(terms, termsHash, payload);
        } else if (kind == BY_PERMIT2 && PERMIT2 != address(0)) {
            if (payload.length < 32) revert InvalidConsent();
            _permitWitnessTransferFrom(terms, termsHash, uint256(bytes32(payload)), payload[32:]);
        } else {
            revert InvalidConsent();
        }
    }

    /// @dev ECDSA counts for an account with code too: under EIP-7702 its key still speaks for it.
    function _checkSignature(address sender, bytes32 termsHash, bytes calldata wrapped) private {
        bytes calldata signature = _unwrapped(sender, wrapped);
        bytes32 digest = _hashTypedDataV4(termsHash);
        // slither-disable-next-line unused-return: a detail of the failure.
        (address signer, ECDSA.RecoverError failure,) = ECDSA.tryRecoverCalldata(digest, signature);
        if (failure == ECDSA.RecoverError.NoError && signer == sender) return;
        if (!SignatureChecker.isValidERC1271SignatureNowCalldata(sender, digest, signature)) revert InvalidConsent();
    }

    /// @dev A permit can be used by anyone who sees it. So its failure means nothing: if the allowance is there, the
    /// transfer succeeds. In assembly because Solidity copies the return data, however large the token makes it.
    function _tryPermit(Terms memory terms, bytes calldata wrapped) private {
        bytes calldata signature = _unwrapped(terms.sender, wrapped);
        bytes memory data;
        if (signature.length == 65) {
            (uint8 v, bytes32 r, bytes32 s) = _parts(signature);
            data = abi.encodeCall(
                IERC20Permit.permit, (terms.sender, address(this), terms.hold, terms.expiresAt, v, r, s)
            );
        } else {
            data =
                abi.encodeCall(IERC7597.permit, (terms.sender, address(this), terms.hold, terms.expiresAt, signature));
        }
        address token = terms.token;
        // slither-disable-next-line assembly
        assembly ("memory-safe") {
            pop(call(gas(), token, 0, add(data, 0x20), mload(data), 0, 0))
        }
    }

    /// @dev The token's signature covers sender, escrow, hold, expiry and chain; its nonce binds it to these terms.
    function _receiveWithAuthorization(Terms memory terms, bytes32 nonce, bytes calldata wrapped) private {
        bytes calldata signature = _unwrapped(terms.sender, wrapped);
        (address sender, address token) = (terms.sender, terms.token);
        (uint96 hold, uint40 expiresAt) = (terms.hold, terms.expiresAt);
        if (signature.length == 65) {
            (uint8 v, bytes32 r, bytes32 s) = _parts(signature);
            IERC3009(token).receiveWithAuthorization(sender, address(this), hold, 0, expiresAt, nonce, v, r, s);
        } else {
            IERC7598(token).receiveWithAuthorization(sender, address(this), hold, 0, expiresAt, nonce, signature);
        }
    }

    /// @dev Permit2's signature covers token, hold, expiry, chain and its caller, the escrow; the witness is these terms.
    function _permitWitnessTransferFrom(Terms memory terms, bytes32 termsHash, uint256 nonce, bytes calldata wrapped)
        private
    {
        bytes calldata signature = _unwrapped(terms.sender, wrapped);
        IPermit2(PERMIT2)
            .permitWitnessTransferFrom(
                IPermit2.PermitTransferFrom(IPermit2.TokenPermissions(terms.token, terms.hold), nonce, terms.expiresAt),
                IPermit2.SignatureTransferDetails(address(this), terms.hold),
                terms.sender,
                termsHash,
                WITNESS_TYPE,
                signature
            );
    }

    /// @dev The signature itself. One of a wallet that may not be there yet (ERC-6492) brings the call of its factory:
    /// `abi.encode(factory, factoryCall, signature) ++ UNDEPLOYED`. The call is made while the wallet has no code; what
    /// it brought about is seen when the signature is checked.
    function _unwrapped(address sender, bytes calldata wrapped) private returns (bytes calldata signature) {
        if (wrapped.length < 32 || bytes32(wrapped[wrapped.length - 32:]) != UNDEPLOYED) return wrapped;
        if (sender.code.length == 0) {
            WALLET_DEPLOYER.deploy(address(uint160(uint256(bytes32(wrapped)))), _bytesAt(wrapped, 32));
        }
        return _bytesAt(wrapped, 64);
    }

    /// @dev The `bytes` whose offset is at `head`, as the ABI encodes them. Reverts where they reach beyond the end.
    function _bytesAt(bytes calldata encoded, uint256 head) private pure returns (bytes calldata) {
        uint256 start = uint256(bytes32(encoded[head:head + 32])) + 32;
        uint256 length = uint256(bytes32(encoded[start - 32:start]));
        return encoded[start:start + length];
    }

    /// @dev The three parts of an ECDSA signature of 65 bytes, in the order in which tokens take them.
    function _parts(bytes calldata signature) private pure returns (uint8 v, bytes32 r, bytes32 s) {
        return (uint8(signature[64]), bytes32(signature), bytes32(signature[32:]));
    }
}
