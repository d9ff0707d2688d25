// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

import {WalletDeployer} from "../src/WalletDeployer.sol";
import {IPreauthEscrow} from "../src/interfaces/IPreauthEscrow.sol";
import {SignerTest} from "./SignerTest.sol";
import {HostileFactory} from "./mocks/HostileFactory.sol";
import {PermitToken} from "./mocks/PermitToken.sol";
import {WalletFactory} from "./mocks/Wallet.sol";

/// @dev Signatures of wallets that are not there yet (ERC-6492), in each kind of consent.
contract ConsentUndeployedTest is SignerTest {
    uint256 private constant NONCE = 7;

    // -------------------------------------------------------------------- each kind

    function test_TheTermsAreSignedByAWalletThatComes() public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory making = createAndApprove(address(escrow));
        authorize(terms, byTerms(wrapped(address(factory), making, byPassword(escrow.consentDigest(terms)))));
        assertHeld(terms);
        assertGt(terms.sender.code.length, 0);
    }

    function test_APermitIsSignedByAWalletThatComes() public {
        PermitToken permitting = new PermitToken();
        permitting.mint(sender, FUNDS);
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(permitting));
        bytes memory permitSignature = wrapped(address(factory), create(), byPassword(permitDigest(terms)));
        bytes memory signature = wrapped(address(factory), create(), byPassword(escrow.consentDigest(terms)));
        authorize(terms, byPermit(permitSignature, signature));
        assertHeld(terms);
    }

    function test_AnAuthorizationIsSignedByAWalletThatComes() public {
        for (uint256 length = 64; length < 66; ++length) {
            (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
            bytes memory signature = byPassword(authorizationDigest(terms), length);
            authorize(terms, byAuthorization(wrapped(address(factory), create(), signature)));
            assertStatus(terms, IPreauthEscrow.Status.Open);
        }
    }

    function test_APermit2TransferIsSignedByAWalletThatComes() public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory signature = byPassword(permit2Digest(terms, NONCE));
        authorize(terms, byPermit2(NONCE, wrapped(address(factory), createAndApprove(PERMIT2), signature)));
        assertHeld(terms);
    }

    // -------------------------------------------------------------- not as it should be

    function test_AWalletThatIsThereAlreadyIsNotMadeAgain() public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory consent = byTerms(wrapped(address(factory), create(), byPassword(escrow.consentDigest(terms))));
        factory.create(PASSWORD).approve(token, address(escrow));
        vm.expectCall(address(factory), create(), 0);
        authorize(terms, consent);
        assertHeld(terms);
    }

    function test_AWalletThatComesMustConsent() public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory making = createAndApprove(address(escrow));
        bytes memory other = wrapped(address(factory), making, byPassword(escrow.hashTerms(terms)));
        assertRefused(terms, byTerms(other), IPreauthEscrow.InvalidConsent.selector);
        assertEq(terms.sender.code.length, 0);
    }

    function test_AWalletThatDoesNotComeHasNotConsented() public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory signature = byPassword(escrow.consentDigest(terms));
        bytes memory another = abi.encodeCall(WalletFactory.create, (keccak256("another")));
        bytes[3] memory wraps = [
            wrapped(address(factory), another, signature),
            wrapped(address(factory), "", signature),
            wrapped(stranger, create(), signature)
        ];
        for (uint256 i = 0; i < wraps.length; ++i) {
            assertRefused(terms, byTerms(wraps[i]), IPreauthEscrow.InvalidConsent.selector);
        }
    }

    function test_AKeysSignatureCountsWrappedOrNot() public {
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory signature = ecdsa(escrow.consentDigest(terms), "sender");
        authorize(terms, byTerms(wrapped(stranger, "", signature)));
        assertHeld(terms);
    }

    /// @dev Offsets and lengths that reach beyond the end, and words cut short.
    function testFuzz_ABrokenWrapIsNoConsent(bytes calldata inner, uint256 place, uint256 value) public {
        (WalletFactory factory, IPreauthEscrow.Terms memory terms) = someFutureWallet(address(token));
        bytes memory good =
            wrapped(address(factory), createAndApprove(address(escrow)), byPassword(escrow.consentDigest(terms)));
        bytes memory magic = new bytes(32);
        for (uint256 i = 0; i < 32; ++i) {
            magic[i] = good[good.length - 32 + i];
        }
        assertRefused(terms, byTerms(bytes.concat(inner, magic)));

        // The two offsets and the two lengths.
        uint256[4] memory words = [uint256(1), 2, 3, 8];
        uint256 head = 32 + 32 * words[place % words.length];
        value = bound(value, good.length, type(uint256).max);
        assembly {
            mstore(add(good, head), value)
        }
        assertRefused(terms, byTerms(good));
    }

    // ------------------------------------------------------------ the hostile factory

    /// @dev The factory's caller has no rights: it is neither the escrow nor the operator.
    function test_AFactoryCanMoveNothingOfTheEscrow() public {
        IPreauthEscrow.Terms memory victim = someHold();
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory signature = ecdsa(escrow.consentDigest(terms), "sender");
        bytes[4] memory calls = [
            abi.encodeCall(IERC20.transfer, (stranger, HOLD)),
            abi.encodeCall(IERC20.approve, (stranger, HOLD)),
            abi.encodeCall(IERC20.transferFrom, (address(escrow), stranger, HOLD)),
            abi.encodeCall(IERC20.transferFrom, (sender, stranger, HOLD))
        ];
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < calls.length; ++i) {
            authorize(terms, byTerms(wrapped(address(token), calls[i], signature)));
            assertEq(token.balanceOf(stranger), 0);
            assertEq(token.balanceOf(address(escrow)), 2 * uint256(HOLD));
            assertEq(token.allowance(address(escrow), stranger), 0);
            assertStatus(victim, IPreauthEscrow.Status.Open);
            vm.revertToState(state);
        }
    }

    function test_AFactoryCanEnterNothing() public {
        IPreauthEscrow.Terms memory victim = someHold();
        vm.warp(victim.expiresAt);
        IPreauthEscrow.Terms memory terms = someTerms();
        bytes memory signature = ecdsa(escrow.consentDigest(terms), "sender");
        HostileFactory factory = new HostileFactory();
        bytes[4] memory entries = [
            expiring(victim),
            authorizing(someTerms()),
            batching(list(expiring(victim)), GAS_PER_CALL),
            abi.encodeCall(IPreauthEscrow.claim, (sender, address(token)))
        ];
        uint256 state = vm.snapshotState();
        for (uint256 i = 0; i < entries.length; ++i) {
            bytes memory enter = abi.encodeCall(HostileFactory.callOn, (address(escrow), entries[i]));
            authorize(terms, byTerms(wrapped(address(factory), enter, signature)));
            assertEq(factory.answer(), abi.encodePacked(IPreauthEscrow.Reentered.selector));
            // The deployer itself, called straight at the escrow.
            vm.revertToState(state);
            authorize(terms, byTerms(wrapped(address(escrow), entries[i], signature)));
            assertStatus(victim, IPreauthEscrow.Status.Open);
            vm.revertToState(state);
        }
    }

    function test_AHostileFactoryCostsNoMoreThanTheCap() public {
        HostileFactory factory = new HostileFactory();
        bytes[3] memory calls = [
            abi.encodeCall(HostileFactory.burnAllGas, ()),
            abi.encodeCall(HostileFactory.returnBomb, ()),
            abi.encodeCall(HostileFactory.revertBomb, ())
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            IPreauthEscrow.Terms memory bad = someTerms();
            bytes memory signature = ecdsa(escrow.consentDigest(bad), "sender");
            bytes memory consent = byTerms(wrapped(address(factory), calls[i], signature));
            uint256 gasBefore = gasleft();
            Outcome[] memory results = batchBy(operator, list(authorizing(bad, consent), authorizing(someTerms())));
            assertLt(gasBefore - gasleft(), GAS_PER_CALL + 300_000);
            assertTrue(results[1].success);
        }
    }

    function test_ALargeAnswerOfTheFactoryIsNotCopied() public {
        HostileFactory factory = new HostileFactory();
        WalletDeployer deployer = escrow.WALLET_DEPLOYER();
        uint256 gasBefore = gasleft();
        deployer.deploy{gas: 2_000_000}(address(factory), abi.encodeCall(HostileFactory.answerOf, (100_000)));
        // Its memory alone costs the factory some 30,000 gas; a copy would cost the same again.
        assertLt(gasBefore - gasleft(), 50_000);
    }

    // ------------------------------------------------------------------- helpers

    function create() private pure returns (bytes memory) {
        return abi.encodeCall(WalletFactory.create, (PASSWORD));
    }

    function createAndApprove(address spender) private view returns (bytes memory) {
        return abi.encodeCall(WalletFactory.createAndApprove, (PASSWORD, token, spender));
    }
}
